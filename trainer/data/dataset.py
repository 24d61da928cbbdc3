"""The HDF5 file of face windows: schema 2, written once, read by any HDF5 tool.

A row is a window: up to T frames of one face of one file. Root attributes: `format` ("dfd-dataset"), `version`,
`crop_px` (S), `frames` (T), `sample_fps`, `layout`, `split` (group, official or random-frames), `created_by`.

    crops    uint8   (W, T, S, S, 3)  RGB; the crop is the top left `pixels` square, as serving cut it; zeros elsewhere
    pixels   int32   (W,)             side of the crop as stored
    side     float32 (W,)             side in px of the frame that it shows; equal to `pixels` at native resolution
    present  uint8   (W, T)           1 where the face was seen
    times_s  float64 (W, T)           media seconds; NaN beyond the end
    boxes    float32 (W, T, 4)        face box xyxy in px of the crop; NaN where absent
    mesh     float16 (W, T, 468, 2)   landmarks in px of the crop; NaN where unknown
    landmarks float32 (W, T, 6, 2)    the face finder's (eyes, nose, mouth, ears), in px of the crop; NaN where absent
    quantisers float32 (W, T)         the codec's on H.264's scale, mean over the face; NaN where unknown
    hash     uint8   (W, 32)          perceptual hash of the first frame with a face (trainer.data.hashes)
    label    uint8   (W,)             0 real, 1 fake
    split    uint8   (W,)             0 train, 1 validation, 2 test
    file     int32   (W,)             row of files/*
    files/path, method, compression, family, source, pair, licence   UTF-8 (F,); pair is the path of another file
    files/groups                             UTF-8 (F,); identities, a JSON list
    failed/path, reason                      UTF-8 (E,); what could not be used, and why

Bytes of a name that are no UTF-8 are written as \\xNN.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from dfd_core import __version__
from dfd_core.errors import DataError
from dfd_core.types import Float32Array, Float64Array, UInt8Array
from trainer.data.hashes import BYTES, picture_hash
from trainer.data.layouts import SPLITS
from trainer.data.schema import check_columns, columns
from trainer.data.splits import RANDOM_FRAMES, check_disjoint
from trainer.data.storage import FULL_DISK, compression_options, disk_errors, load_filters

FORMAT, VERSION = "dfd-dataset", 2
_SINCE_2 = {"landmarks": (6, 2), "quantisers": ()}  # columns that schema 1 has not, and their shape in a frame


@dataclass(frozen=True, slots=True)
class Header:
    """The root attributes that describe all windows."""

    crop_px: int
    frames: int
    sample_fps: float
    layout: str
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class FaceWindow:
    """One row without label and split; shapes as in the schema, with `crops` uint8 (T, pixels, pixels, 3)."""

    crops: UInt8Array
    side: float
    present: UInt8Array
    times_s: Float64Array
    boxes: Float32Array
    mesh: npt.NDArray[np.float16]
    landmarks: Float32Array
    quantisers: Float32Array


@dataclass(frozen=True, slots=True)
class FileRow:
    """One entry of files/*: what `LabelledFile` says of a file; `pair` is the path of another one."""

    path: str
    groups: tuple[str, ...]
    method: str = ""
    compression: str = ""
    family: str = ""
    source: str = ""
    pair: str = ""
    licence: str = ""


class DatasetWriter:
    """Writes rows beside `path`, and moves the file there when all is well; a context manager.

    It stops while `reserve` bytes of the disk are still free: HDF5 does not survive a full one.
    """

    def __init__(self, path: Path, header: Header, compression: str = "lzf", reserve: int = 64_000_000) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._header, self._reserve = header, reserve
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._h5 = h5py.File(self._part, "w")
            self._h5.attrs.update({"format": FORMAT, "version": VERSION, "created_by": f"dfd {__version__}"})
            self._h5.attrs.update(asdict(header))
            self._make_columns(None if compression == "none" else compression)
        self._files: list[FileRow] = []

    def add_file(self, file: FileRow) -> int:
        """Register a file; its row number."""
        self._files.append(file)
        return len(self._files) - 1

    def add(self, window: FaceWindow, file: int, fake: bool, split: str) -> None:
        """Append one row."""
        if shutil.disk_usage(self._path.parent).free < self._reserve:
            raise DataError(f"Cannot write {self._path}: {FULL_DISK}")
        row = len(self._h5["label"])
        pixels = window.crops.shape[1]
        values = {f.name: getattr(window, f.name) for f in fields(FaceWindow) if f.name != "crops"}
        first = window.crops[int(np.argmax(window.present))]
        values |= {
            "hash": picture_hash(first),
            "pixels": pixels,
            "label": int(fake),
            "split": SPLITS.index(split),
            "file": file,
        }
        full = np.zeros(self._h5["crops"].shape[1:], np.uint8)
        full[:, :pixels, :pixels] = window.crops
        with disk_errors(self._path):
            for name, value in (values | {"crops": full}).items():
                column = self._h5[name]
                column.resize(row + 1, axis=0)
                column[row] = value

    def close(self, failed: Sequence[tuple[str, str]] = ()) -> None:
        """Finish the file and give it its name."""
        with disk_errors(self._path):
            for name in (f.name for f in fields(FileRow) if f.name != "groups"):
                self._texts(f"files/{name}", [getattr(file, name) for file in self._files])
            self._texts("files/groups", [json.dumps(file.groups) for file in self._files])
            self._texts("failed/path", [path for path, _ in failed])
            self._texts("failed/reason", [reason for _, reason in failed])
            self._h5.close()
            os.replace(self._part, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._h5:
            with disk_errors(self._path):
                self._h5.close()
        self._part.unlink(missing_ok=True)

    def _make_columns(self, compression: str | None) -> None:
        t, s = self._header.frames, self._header.crop_px
        crops = {"chunks": (1, t, s, s, 3), **compression_options(compression)}
        self._h5.create_dataset("crops", (0, t, s, s, 3), np.uint8, maxshape=(None, t, s, s, 3), **crops)
        for name, (shape, dtype) in columns(t).items():
            rows = 1 if name == "mesh" else 1024
            self._h5.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape))

    def _texts(self, name: str, values: Sequence[str]) -> None:
        texts = [value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for value in values]
        self._h5.create_dataset(name, data=texts, dtype=h5py.string_dtype(), shape=(len(values),))


class Dataset:
    """A data set that is read window by window; may be sent to other processes, each of which opens it anew.

    `labels` uint8 (W,), `splits` uint8 (W,), `file_of` int32 (W,), `starts_s` float64 (W,) media seconds, `files` the
    rows of files/*, `failed` pairs of path and reason. DataError for a file that is truncated, foreign or newer, and
    for groups on both sides of a split.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._h5: h5py.File | None = None
        h5 = self._open()
        try:
            self.header = Header(**{f.name: _plain(h5.attrs[f.name]) for f in fields(Header)})
            check_columns(h5, self.header.frames, self.header.crop_px)
            self.labels, self.splits, self.file_of = h5["label"][:], h5["split"][:], h5["file"][:]
            self.pixels, self.present = h5["pixels"][:], h5["present"][:].astype(bool)
            self.starts_s = h5["times_s"][:, 0]
            self.files = _files(h5["files"])
            self.failed = list(zip(h5["failed/path"].asstr()[:], h5["failed/reason"].asstr()[:], strict=True))
            self.bytes_stored = int(h5["crops"].id.get_storage_size())
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise DataError(f"{path} is a damaged data set ({error}): build it again.") from None
        if self.header.split != RANDOM_FRAMES:
            check_disjoint((SPLITS[s], self.groups(n)) for n, s in enumerate(self.splits))

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_h5": None}

    def groups(self, row: int) -> list[str]:
        """The identities of a window."""
        return list(self.files[self.file_of[row]].groups)

    @cached_property
    def hashes(self) -> UInt8Array:
        """Uint8 (W, 32): perceptual hashes; of a data set that has none they are made now."""
        if "hash" in self._open():
            return np.asarray(self._open()["hash"][:], np.uint8)
        made = [picture_hash(self.crops(row)[0]) for row in range(len(self))]
        return np.array(made, np.uint8).reshape(len(self), BYTES)

    def rows(self, split: str, fake: bool | None = None) -> npt.NDArray[np.intp]:
        """Rows of a split, and of one class if told so."""
        chosen = self.splits == SPLITS.index(split)
        return np.flatnonzero(chosen if fake is None else chosen & (self.labels == int(fake)))

    def crops(self, row: int) -> UInt8Array:
        """Those of the P frames in which the face was seen, uint8 (P, pixels, pixels, 3) RGB, as serving cuts them."""
        side = int(self.pixels[row])
        return np.asarray(self._read("crops", row)[self.present[row], :side, :side])

    def boxes(self, row: int) -> Float32Array:
        """Float32 (P, 4): the boxes that belong to `crops`."""
        return np.asarray(self._read("boxes", row)[self.present[row]])

    def mesh(self, row: int) -> Float32Array:
        """Float32 (P, 468, 2): the landmarks that belong to `crops`; NaN where there are none."""
        return np.asarray(self._read("mesh", row)[self.present[row]], np.float32)

    def window(self, row: int) -> FaceWindow:
        """A row as it was written, absent frames too."""
        side = int(self.pixels[row])
        values = {f.name: self._read(f.name, row) for f in fields(FaceWindow) if f.name in self._open()}
        values |= {
            n: np.full((self.header.frames, *s), np.nan, np.float32) for n, s in _SINCE_2.items() if n not in values
        }
        return FaceWindow(**{**values, "crops": values["crops"][:, :side, :side], "side": float(values["side"])})

    def _read(self, name: str, row: int) -> Any:
        try:
            return self._open()[name][row]
        except OSError as error:
            raise DataError(f"Row {row} of {self.path} cannot be read ({error}): build the data set again.") from None

    def _open(self) -> h5py.File:
        if self._h5 is None:
            self._h5 = open_checked(self.path)
        return self._h5


def _files(columns: h5py.Group) -> list[FileRow]:
    """The rows of files/*; schema 1 had four columns, and joined the groups by +."""
    texts = {name: column.asstr()[:].tolist() for name, column in columns.items()}
    if "groups" in texts:
        texts["groups"] = [tuple(json.loads(text)) for text in texts["groups"]]
    else:
        texts["groups"] = [tuple(text.split("+")) for text in texts.pop("group")]
    return [FileRow(**dict(zip(texts, row, strict=True))) for row in zip(*texts.values(), strict=True)]


def open_checked(path: Path) -> h5py.File:
    """The open file, read-only; DataError unless it is a data set of a version that this dfd knows."""
    load_filters()
    if not path.is_file():
        raise DataError(f"There is no data set {path}: make one with 'dfd data build'.")
    try:
        h5 = h5py.File(path, "r")
    except OSError:
        raise DataError(f"{path} is not an HDF5 file, or it is cut short: build it again.") from None
    if h5.attrs.get("format") != FORMAT or not isinstance(h5.attrs.get("version"), int | np.integer):
        raise DataError(f"{path} is an HDF5 file, but not a data set of dfd: make one with 'dfd data build'.")
    if h5.attrs["version"] > VERSION:
        raise DataError(f"{path} has schema {h5.attrs['version']}, this dfd reads up to {VERSION}: upgrade dfd.")
    return h5


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
