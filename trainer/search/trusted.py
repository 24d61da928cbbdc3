"""Which model files are loaded: those that a card names.

Keras runs code that a .h5 file holds, whatever `safe_mode` says (CVE-2025-9905), and .keras files had their own
(CVE-2025-1550, CVE-2025-9906).
"""

from __future__ import annotations

from pathlib import Path

from dfd_core.errors import DataError, ModelError
from dfd_core.models.store import read_card, verified_file


def trusted(path: Path) -> Path:
    """`path`, once the card.json beside it names its sha256; DataError otherwise."""
    try:
        return verified_file(path.parent, read_card(path.parent), path.name)
    except ModelError:
        raise DataError(
            f"{path} is refused, because a model file can run code: its sha256 must stand in the card.json beside it, "
            "where dfd search writes it."
        ) from None
