"""How data sets lie on disk: HDF5's filters, and what a full disk becomes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dfd_core.errors import DataError

FULL_DISK = "the disk is full; free some space, and run the same command again."
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def compression_options(name: str | None) -> dict[str, Any]:
    """What h5py takes for none, gzip, lzf or blosc2."""
    if name is None or name == "none":
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 1, "shuffle": False}
    if name == "blosc2":
        try:
            import hdf5plugin
        except ImportError:
            raise DataError("Blosc2 needs the package hdf5plugin: pip install hdf5plugin.") from None
        return dict(hdf5plugin.Blosc2(cname="lz4", clevel=5))
    return {"compression": name}


def load_filters() -> None:
    """Let HDF5 read what Blosc2 compressed, where its package is installed."""
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  registers its filters with HDF5


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk and the like, met while `path` is written, into one sentence."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises either
        full = getattr(error, "errno", None) in _FULL or "No space left" in str(error)
        why = FULL_DISK if full else f"{error}; choose another place, and run the same command again."
        raise DataError(f"Cannot write {path}: {why}") from None
