"""Reads the weights that PyTorch saved, without PyTorch and without running what the file says."""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from dfd_core.errors import DataError


def read_torch_file(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Float tensors by name of a file that PyTorch before 1.6 saved, strides honoured, without running its code.

    The file is five pickles (magic number, protocol, system, tensors, storage keys), then the storages, each behind
    its length. DataError for anything else.
    """
    try:
        with path.open("rb") as handle:
            reader = _TensorReader(handle)
            magic, _, _ = (reader.load() for _ in range(3))
            if magic != _TORCH_MAGIC:
                raise ValueError("the magic number is another")
            tensors, keys = reader.load(), reader.load()
            for key in keys:
                (count,) = np.fromfile(handle, np.int64, 1)
                reader.storages[key][:] = np.fromfile(handle, reader.storages[key].dtype, int(count))
    except (OSError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path.name} is not a PyTorch weights file that dfd can read: {error}.") from None
    return {name: value.copy() for name, value in tensors.items() if value.dtype == np.float32}


class _TensorReader(pickle.Unpickler):
    """An unpickler that knows tensors and nothing else; tensors are views of `storages`, which are filled later."""

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__(handle)
        self.storages: dict[str, npt.NDArray[Any]] = {}

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        _, dtype, key, _, count, *_ = pid
        return self.storages.setdefault(key, np.zeros(count, dtype))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return _KNOWN[module, name]


def _rebuild_tensor(
    storage: npt.NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> npt.NDArray[Any]:
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)


_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.float32,
    ("torch", "LongStorage"): np.int64,
    ("collections", "OrderedDict"): collections.OrderedDict,
}
