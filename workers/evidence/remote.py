"""Bundles in an object store that fsspec knows, S3 above all: the same as in a folder, by a URL.

A bundle is there once its manifest is, which is written last and, where it is written again, deleted first.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec

from dfd_core.errors import SettingsError
from dfd_core.queue.alarms import Alarm
from dfd_core.sections import EvidenceSettings
from dfd_core.types import WindowScore
from workers.evidence.bundle import MANIFEST, Bundle, manifest_of, parse_manifest
from workers.evidence.integrity import problems
from workers.evidence.kept import is_unfinished, kept_shots
from workers.evidence.pictures import Shots
from workers.evidence.shelf import NAME, bundle_name, oldest_allowed

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError:  # another store than S3
    _TROUBLE: tuple[type[Exception], ...] = (OSError,)
else:
    _TROUBLE = (OSError, BotoCoreError, ClientError)


class RemoteShelf:
    """As `Shelf`, below a URL such as s3://bucket/prefix; credentials come from the environment."""

    def __init__(self, settings: EvidenceSettings) -> None:
        """SettingsError where the store cannot be used."""
        self._settings = settings
        self._fs, self._root = opened(settings.folder)
        try:
            with _told():
                self._sizes = self._measured()
        except OSError as error:
            raise SettingsError(
                f"Evidence cannot be kept in {settings.folder}: {error}. Name another place in evidence.folder."
            ) from None

    @property
    def size(self) -> int:
        """Bytes of all bundles."""
        return sum(self._sizes.values())

    def has(self, alarm_id: str) -> bool:
        """Whether an alarm has a bundle."""
        return self._name(alarm_id) is not None

    def unfinished(self) -> set[str]:
        """The ids of alarms that lasted when their bundles were written."""
        found = set()
        for name in self._sizes:
            with fetched(self._fs, f"{self._root}/{name}") as folder:
                if is_unfinished(folder):
                    found.add(name.rpartition("-")[2])
        return found

    def shots(self, alarm_id: str, windows: Sequence[WindowScore]) -> list[Shots]:
        """The crops that the bundle of an alarm has; OSError."""
        name = self._name(alarm_id)
        if name is None:
            return []
        with fetched(self._fs, f"{self._root}/{name}") as folder:
            return kept_shots(folder, windows)

    def put(self, alarm: Alarm, files: Mapping[str, bytes]) -> None:
        """Write the alarm's bundle, in place of an earlier one; then make room. OSError."""
        name = bundle_name(alarm)
        place = f"{self._root}/{name}"
        with _told():
            if name in self._sizes:
                self._fs.rm_file(f"{place}/{MANIFEST}")
                known = {f"{place}/{file}" for file in files}
                for old in self._fs.find(place):
                    if old not in known:
                        self._fs.rm_file(old)
            for file, content in files.items():
                self._fs.pipe_file(f"{place}/{file}", content)
            self._fs.pipe_file(f"{place}/{MANIFEST}", manifest_of(files).encode())
        self._sizes[name] = sum(map(len, files.values()))
        self.make_room()

    def make_room(self, now_s: float | None = None) -> None:
        """Delete what is too old, and the oldest while all are too large; what cannot be deleted now is later."""
        oldest = oldest_allowed(self._settings, time.time() if now_s is None else now_s)
        for name in sorted(self._sizes):
            if name >= oldest and self.size <= self._settings.max_bytes:
                break
            try:
                with _told():
                    self._fs.rm(f"{self._root}/{name}", recursive=True)
            except OSError:
                break
            del self._sizes[name]

    def _name(self, alarm_id: str) -> str | None:
        return next((name for name in self._sizes if name.endswith(f"-{alarm_id}")), None)

    def _measured(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for path, about in self._fs.find(self._root, detail=True).items():
            name = PurePosixPath(path).relative_to(self._root).parts[0]
            if NAME.fullmatch(name):
                sizes[name] = sizes.get(name, 0) + int(about["size"] or 0)
        return sizes


def opened(url: str) -> tuple[Any, str]:
    """The file system and the path of a URL; SettingsError where there is none, or where it holds a credential."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError("evidence.folder is no URL: write it as s3://bucket/prefix, or name a folder.") from None
    if "@" in parts.netloc or parts.query:
        raise SettingsError(
            "evidence.folder holds a credential: give it by the environment, as AWS_ACCESS_KEY_ID and the like."
        )
    try:
        own = {"auto_mkdir": True} if parts.scheme in ("file", "local") else {}
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **own)
    except (ImportError, ValueError):
        raise SettingsError(
            f"Nothing here knows {parts.scheme}:// (evidence.folder): pip install 'dfd[s3]' for s3://, or the package "
            "of fsspec for it."
        ) from None
    return fs, root.rstrip("/")


def remote_bundle(url: str, alarm_id: str) -> Bundle | None:
    """The bundle of an alarm; None where there is none, or not now."""
    fs, root = opened(url)
    try:
        with _told():
            found = fs.glob(f"{root}/*-{alarm_id}/{MANIFEST}")
            place = next((p.rpartition("/")[0] for p in found if NAME.fullmatch(p.split("/")[-2])), None)
            if place is None:
                return None
            hashes = parse_manifest(fs.cat_file(f"{place}/{MANIFEST}").decode("ascii"))
    except (OSError, ValueError):
        return None

    def read(name: str) -> bytes:
        with _told():
            return bytes(fs.cat_file(f"{place}/{name}"))

    return Bundle(place.rpartition("/")[2], hashes, read)


def remote_problems(url: str) -> Iterator[tuple[str, list[str]]]:
    """Name and problems of each bundle at or below a URL; SettingsError where it cannot be read."""
    fs, root = opened(url)
    try:
        with _told():
            manifests = fs.glob(f"{root}/{MANIFEST}") + fs.glob(f"{root}/*/{MANIFEST}")
            for place in sorted(path.rpartition("/")[0] for path in manifests):
                with fetched(fs, place) as folder:
                    yield place, problems(folder)
    except OSError as error:
        raise SettingsError(f"{url} cannot be read: {error}.") from None


@contextmanager
def fetched(fs: Any, place: str) -> Iterator[Path]:
    """A copy of the files below `place`, for as long as it is needed; OSError."""
    with tempfile.TemporaryDirectory(prefix="dfd-evidence-") as folder, _told():
        for path in fs.find(place):
            part = PurePosixPath(path).relative_to(place)
            if ".." in part.parts:
                raise OSError(f"{path!r} is no file of a bundle")
            copy = Path(folder, *part.parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(fs.cat_file(path))
        yield Path(folder)


@contextmanager
def _told() -> Iterator[None]:
    """What a store has to complain of, as an OSError without its secrets."""
    try:
        yield
    except OSError:
        raise
    except _TROUBLE as error:
        raise OSError(f"the store does not do it ({type(error).__name__})") from None
