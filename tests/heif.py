"""HEIF and AVIF pictures in tiles (ISO/IEC 23008-12, image grids), as phones write them: no encoder in Python does."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pillow_heif
from PIL import ExifTags, Image

pillow_heif.register_heif_opener()
TURNS = {1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}
"""EXIF's orientations as irot (quarter turns counterclockwise) and then imir (0 exchanges top and bottom, 1 left and
right)."""


def write_grid(path: Path, image: np.ndarray, columns: int, rows: int, orientation: int = 1, curve: int = 0) -> Path:
    """`image` uint8 (H, W, 3) cut into equal tiles; AV1 in an .avif, HEVC in a .heic. `orientation` is EXIF's.

    `curve` is the transfer curve that the file names, of BT.2020's primaries (ITU-T H.273), 0 for none.
    """
    height, width = image.shape[0] // rows, image.shape[1] // columns
    kind, brand = (b"av01", b"avif") if path.suffix == ".avif" else (b"hvc1", b"heic")
    tiles = [
        _coded(image[r * height : (r + 1) * height, c * width : (c + 1) * width], path.suffix)
        for r in range(rows)
        for c in range(columns)
    ]
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, image.shape[1], image.shape[0])
    settings = _box(b"av1C" if kind == b"av01" else b"hvcC", tiles[0][1])
    shown = [_full(b"ispe", struct.pack(">II", image.shape[1], image.shape[0])), _PIXI, *_turned(orientation)]
    colours = [_box(b"colr", b"nclx", struct.pack(">HHHB", 9, curve or 13, 6, 0x80))]
    properties = [_full(b"ispe", struct.pack(">II", width, height)), settings, *colours, *shown]
    ftyp = _box(b"ftyp", brand + bytes(4) + b"mif1miaf" + brand)
    meta = _meta(kind, [data for data, _ in tiles], grid, properties, 0)
    meta = _meta(kind, [data for data, _ in tiles], grid, properties, len(ftyp) + len(meta) + 8)
    path.write_bytes(ftyp + meta + _box(b"mdat", b"".join(data for data, _ in tiles)))
    return path


def write_single(path: Path, image: np.ndarray, orientation: int = 1, exif: int | None = None) -> Path:
    """`image` uint8 (H, W, 3) as one item, AV1 in an .avif, HEVC in a .heic; `exif` is what EXIF says beside it."""
    kind, brand = (b"av01", b"avif") if path.suffix == ".avif" else (b"hvc1", b"heic")
    data, extra = _coded(image, path.suffix)
    told = Image.Exif()
    told[ExifTags.Base.Orientation] = exif or 1
    items = [(kind, data)] + ([] if exif is None else [(b"Exif", struct.pack(">I", 6) + told.tobytes())])
    size = _full(b"ispe", struct.pack(">II", image.shape[1], image.shape[0]))
    properties = [size, _box(b"av1C" if kind == b"av01" else b"hvcC", extra), _PIXI, *_turned(orientation)]
    used = bytes(n + 1 | 0x80 * (n == 1 or n > 2) for n in range(len(properties)))

    def meta(start: int) -> bytes:
        places = _place(1, 0, start, len(data)) + (
            _place(2, 0, start + len(data), len(items[-1][1])) * (len(items) - 1)
        )
        listed = b"".join(_item(n + 1, name, n) for n, (name, _) in enumerate(items))
        refers = _full(b"iref", _box(b"cdsc", struct.pack(">HHH", 2, 1, 1))) if exif is not None else b""
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + places, version=1),
            _full(b"iinf", struct.pack(">H", len(items)) + listed),
            refers,
            _box(
                b"iprp",
                _box(b"ipco", *properties),
                _full(b"ipma", struct.pack(">IHB", 1, 1, len(used)) + used),
            ),
        )

    ftyp = _box(b"ftyp", brand + bytes(4) + b"mif1miaf" + brand)
    place = len(ftyp) + len(meta(0)) + 8
    path.write_bytes(ftyp + meta(place) + _box(b"mdat", b"".join(content for _, content in items)))
    return path


def _turned(orientation: int) -> list[bytes]:
    """The properties irot and imir of one of EXIF's orientations."""
    turns, mirror = TURNS[orientation]
    properties = [_box(b"irot", bytes([turns]))] if turns else []
    return properties + ([_box(b"imir", bytes([mirror]))] if mirror is not None else [])


def _coded(image: np.ndarray, suffix: str) -> tuple[bytes, bytes]:
    """The bitstream of one tile, and the decoder's settings for it."""
    whole = io.BytesIO()
    kind, more = ("AVIF", {"subsampling": "4:4:4"}) if suffix == ".avif" else ("HEIF", {"chroma": 444})
    Image.fromarray(image).save(whole, kind, quality=95, **more)
    whole.seek(0)
    with av.open(whole) as container:
        packet = next(p for p in container.demux(video=0) if p.size)
        return bytes(packet), bytes(container.streams.video[0].codec_context.extradata)


def _meta(kind: bytes, tiles: Sequence[bytes], grid: bytes, properties: Sequence[bytes], start: int) -> bytes:
    """Item 1 is the grid, 2 and on its tiles; `start` is where their data begin in the file."""
    count = len(tiles)
    places = _place(1, 1, 0, len(grid))
    for number, data in enumerate(tiles):
        places += _place(number + 2, 0, start + sum(map(len, tiles[:number])), len(data))
    items = _item(1, b"grid", 0) + b"".join(_item(n + 2, kind, 1) for n in range(count))
    of_tiles, of_grid = (1, 0x82, 3), tuple(n + 1 | 0x80 * (n > 4) for n in range(2, len(properties)))
    uses = [(1, of_grid), *((n + 2, of_tiles) for n in range(count))]
    ipma = b"".join(struct.pack(">HB", item, len(used)) + bytes(used) for item, used in uses)
    return _full(
        b"meta",
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", 1)),
        _full(b"iloc", struct.pack(">BBH", 0x44, 0, count + 1) + places, version=1),
        _full(b"iinf", struct.pack(">H", count + 1) + items),
        _full(b"iref", _box(b"dimg", struct.pack(f">HH{count}H", 1, count, *range(2, count + 2)))),
        _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">I", len(uses)) + ipma)),
        _box(b"idat", grid),
    )


def _place(item: int, method: int, offset: int, length: int) -> bytes:
    return struct.pack(">HHHHII", item, method, 0, 1, offset, length)


def _item(number: int, kind: bytes, hidden: int) -> bytes:
    return _full(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", version=2, flags=hidden)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


_PIXI = _full(b"pixi", bytes([3, 8, 8, 8]))
