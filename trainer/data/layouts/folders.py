"""Two folders, Real/ and Fake/."""

from __future__ import annotations

from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.layouts import LabelledFile, videos_in


class Folders:
    """Real/ and Fake/ in any case; a subfolder is an identity, else the name of the file is.

    A fake that is called like a real file is taken to be made of it, so both stay on one side of a split.
    """

    name = "folders"
    help = "Real/ and Fake/, in any case; subfolders are identities"

    def files(self, root: Path) -> list[LabelledFile]:
        """All files below both folders."""
        found = []
        for folder in sorted(p for p in root.glob("*") if p.is_dir()):
            if folder.name.lower() in {"real", "fake"}:
                for path in videos_in(folder, "**/*"):
                    inner = path.relative_to(folder)
                    identity = inner.parts[0] if len(inner.parts) > 1 else path.stem
                    found.append(LabelledFile(path, folder.name.lower() == "fake", (identity,)))
        if not found:
            raise DataError(f"{root} has no video or picture in folders called Real and Fake.")
        return found
