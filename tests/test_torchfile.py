"""The reader of PyTorch's old files: what it reads is in the file, and nothing else of the process's memory."""

from __future__ import annotations

import collections
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.errors import DataError
from trainer.networks.torchfile import read_torch_file

MAGIC = 0x1950A86A20F9469CFC6C


class Storage(list):
    """Numbers that a file keeps behind its pickles."""


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.place = storage, offset, shape, stride

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (*self.place, False, collections.OrderedDict())


@pytest.fixture(autouse=True, scope="module")
def torch_names():
    """The two names of PyTorch that such a file holds; pickle looks them up when it writes."""
    utils, torch = types.ModuleType("torch._utils"), types.ModuleType("torch")

    def _rebuild_tensor_v2(*place):
        raise AssertionError("only a file names it")

    class FloatStorage:
        pass

    for module, thing in ((utils, _rebuild_tensor_v2), (torch, FloatStorage)):
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", utils)
        yield


def write(path, offset, shape, stride, numbers, told=None):
    """A file of one tensor over a storage of `numbers`; `told` is how many the file says that there are."""
    storage = Storage(numbers)

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if thing is storage:
                return "storage", sys.modules["torch"].FloatStorage, "0", "cpu", len(numbers), None
            return None

    with path.open("wb") as handle:
        for part in (MAGIC, 1001, {}, {"w": Tensor(storage, offset, shape, stride)}, ["0"]):
            Pickler(handle, 2).dump(part)
        np.array([len(numbers) if told is None else told], np.int64).tofile(handle)
        np.array(numbers, np.float32).tofile(handle)
    return path


def test_a_tensor_is_read_by_its_strides(tmp_path):
    path = write(tmp_path / "w.pth", 1, (2, 3), (1, 2), list(range(8)))
    assert read_torch_file(path)["w"].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert read_torch_file(write(tmp_path / "w.pth", 0, (0, 3), (3, 1), [1.0]))["w"].shape == (0, 3)
    assert read_torch_file(write(tmp_path / "w.pth", 0, (), (), [7.0]))["w"].tolist() == 7


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (64,), (1,)), (1, (1,), (1,)), (0, (2, 2), (4, 1)), (-1, (1,), (1,)), (0, (2,), (-1,)), (0, (1,), ()),
        (0, (10**12,), (0,)), (0, (2**62, 4), (1, 1)), (0.5, (1,), (1,)), (0, ("1",), (1,)), (True, (1,), (1,)),
    ],
)  # fmt: skip
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(offset, shape, stride, tmp_path):
    with pytest.raises(DataError, match="a tensor"):
        read_torch_file(write(tmp_path / "w.pth", offset, shape, stride, [1.0]))


@pytest.mark.parametrize("told", [-1, 0, 1, 3, 2**40])
def test_a_storage_of_another_length_is_refused(told, tmp_path):
    with pytest.raises(DataError, match="a storage is not as long"):
        read_torch_file(write(tmp_path / "w.pth", 0, (2,), (1,), [1.0, 2.0], told))


@settings(max_examples=200)
@given(
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=3),
)
def test_all_that_is_read_lies_in_the_file(tmp_path_factory, offset, sides):
    path = Path(tmp_path_factory.getbasetemp() / "any.pth")
    write(path, offset, tuple(n for n, _ in sides), tuple(step for _, step in sides), list(range(1, 9)))
    try:
        found = read_torch_file(path)["w"]
    except DataError:
        return
    assert set(found.ravel()) <= set(range(1, 9))
