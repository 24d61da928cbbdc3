"""FaceForensics++ (Rössler et al., ICCV 2019) and the DeepFakeDetection set that comes with it."""

from __future__ import annotations

import json
from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.layouts import LabelledFile, videos_in

_OFFICIAL = {"train": "train.json", "validation": "val.json", "test": "test.json"}


class FaceForensics:
    """original_sequences/ and manipulated_sequences/METHOD/COMPRESSION/videos/ as the download script leaves them.

    000_003.mp4 is the video 000 with the face of 003: both are its identities. The official split files (train.json,
    val.json, test.json; pairs of such numbers) are used where they lie in `root` or in `root/splits`.
    """

    name = "faceforensics"
    help = "original_sequences/ and manipulated_sequences/ by method and compression; official split files"

    def files(self, root: Path) -> list[LabelledFile]:
        """All videos of all methods and compressions."""
        official = _official_splits(root)
        found = []
        for kind in ("original_sequences", "manipulated_sequences"):
            for path in videos_in(root / kind, "*/*/videos/*"):
                method, compression = path.parts[-4], path.parts[-3]
                fake = kind == "manipulated_sequences"
                identities = _identities(path.stem, method)
                splits = {official.get(identity) for identity in identities}
                found.append(
                    LabelledFile(
                        path, fake, identities, method, compression, splits.pop() if len(splits) == 1 else None
                    )
                )
        if not found:
            raise DataError(f"{root} has no original_sequences/*/*/videos or manipulated_sequences/*/*/videos.")
        return found


def _identities(stem: str, method: str) -> tuple[str, ...]:
    """000_003 is made of two videos; actors' videos are 01_02__scene__code, of which the actors count."""
    people = stem.split("__", maxsplit=1)[0].split("_")
    family = "actor" if method in {"actors", "DeepFakeDetection"} else "youtube"
    return tuple(f"{family}-{person}" for person in people)


def _official_splits(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in (root, root / "splits"):
        for split, name in _OFFICIAL.items():
            path = folder / name
            if path.is_file():
                try:
                    pairs = json.loads(path.read_text(encoding="utf-8"))
                    found |= {f"youtube-{video}": split for pair in pairs for video in pair}
                except (ValueError, TypeError, RecursionError):
                    raise DataError(f"{path} is not a list of pairs of video numbers.") from None
    return found
