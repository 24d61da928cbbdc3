"""The columns of a data set's windows, and whether a file has them as they must be."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from trainer.data.hashes import BYTES
from trainer.data.layouts import SPLITS

MESH_POINTS = 468


def columns(frames: int) -> dict[str, tuple[tuple[int, ...], npt.DTypeLike]]:
    """Shape of a row and type of each column but `crops`, for windows of so many frames."""
    t = frames
    return {
        "pixels": ((), np.int32), "side": ((), np.float32), "present": ((t,), np.uint8),
        "times_s": ((t,), np.float64), "boxes": ((t, 4), np.float32), "mesh": ((t, MESH_POINTS, 2), np.float16),
        "landmarks": ((t, 6, 2), np.float32), "quantisers": ((t,), np.float32),
        "hash": ((BYTES,), np.uint8),
        "label": ((), np.uint8), "split": ((), np.uint8), "file": ((), np.int32),
    }  # fmt: skip


def check_columns(h5: h5py.File, frames: Any, crop_px: Any) -> None:
    """TypeError that names the first column of another shape or kind, or with values that mean nothing."""
    if not (isinstance(frames, int) and isinstance(crop_px, int) and frames > 0 and crop_px > 0):
        raise TypeError("frames or crop_px is no number")
    windows = len(h5["label"])
    known = {**columns(frames), "crops": ((frames, crop_px, crop_px, 3), np.uint8)}
    for name, (shape, kind) in known.items():
        column = h5.get(name)  # schema 1 lacks some
        if column is not None and (
            not isinstance(column, h5py.Dataset)
            or column.shape != (windows, *shape)
            or column.dtype.kind != np.dtype(kind).kind
        ):
            raise TypeError(f"{name} has not the shape or kind that it must have")
    most = {"label": 2, "split": len(SPLITS), "file": len(h5["files/path"]), "pixels": crop_px + 1}
    for name, beyond in most.items():
        values = h5[name][:]
        if len(values) and not 0 <= values.min() <= values.max() < beyond:
            raise TypeError(f"{name} has values that mean nothing")
