"""Whether the files of a bundle are those that were written."""

from __future__ import annotations

from pathlib import Path

from dfd_core.models.store import sha256_of
from workers.evidence.bundle import MANIFEST, read_manifest


def problems(bundle: Path) -> list[str]:
    """What is not as the manifest says, a sentence's rest each: changed, missing, not named, no plain file."""
    try:
        wanted = read_manifest(bundle)
    except (OSError, ValueError) as error:
        return [f"its {MANIFEST} cannot be read ({error})"]
    found: list[str] = [] if wanted else [f"its {MANIFEST} names no file"]
    present = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if not _is_folder(path)}
    for name, digest in wanted.items():
        path = present.pop(name, None)
        if path is None:
            found.append(f"{name} is missing")
        elif path.is_symlink() or not path.is_file():
            found.append(f"{name} is no plain file")
        elif sha256_of(path) != digest:
            found.append(f"{name} was changed")
    return found + [f"{name} was added" for name in sorted(present) if name != MANIFEST]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
