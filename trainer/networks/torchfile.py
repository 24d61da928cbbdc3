"""Reads the weights that PyTorch saved, without PyTorch and without running what the file says."""

from __future__ import annotations

import collections
import math
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
                storage = reader.storages[key]
                found = np.fromfile(handle, np.int64, 1), np.fromfile(handle, storage.dtype, len(storage))
                if found[0].tolist() != [len(storage)] or len(found[1]) != len(storage):
                    raise ValueError("a storage is not as long as its tensors say")
                storage[:] = found[1]
            return {name: value.copy() for name, value in tensors.items() if value.dtype == np.float32}
    except (OSError, MemoryError, EOFError, pickle.UnpicklingError, *_FOREIGN) as error:
        raise DataError(f"{path.name} is not a PyTorch weights file that dfd can read: {error}.") from None


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
    """A view of `storage`; ValueError unless all of it lies in there, for the file says where it lies."""
    if len(shape) != len(stride) or not all(type(n) is int and n >= 0 for n in (offset, *shape, *stride)):
        raise ValueError("a tensor's place is not in whole numbers")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    count = math.prod(shape, start=1)
    if count > len(storage) or (count and last >= len(storage)):
        raise ValueError("a tensor reaches beyond its storage")
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)


_FOREIGN = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.float32,
    ("torch", "LongStorage"): np.int64,
    ("collections", "OrderedDict"): collections.OrderedDict,
}
