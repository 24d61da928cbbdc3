"""A clock of a system's own, which can be stepped while it runs: libfaketime (Debian: faketime) before libc's."""

from __future__ import annotations

from pathlib import Path

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")


class Clock:
    """What the time of day is for every process that is started with `environment`; monotonic clocks go on, as ever."""

    def __init__(self, file: Path) -> None:
        self._file, self._off_s = file, 0
        self.step(0)

    def step(self, seconds: int) -> None:
        """Forward, or back where they are negative."""
        self._off_s += seconds
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._off_s:+d}\n")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """None of it where there is no libfaketime."""
        library = find_library()
        if library is None:
            return {}
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds after which it looks into the file again
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def find_library() -> Path | None:
    """libfaketime for programs with threads."""
    return next((path for pattern in _LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))), None)
