"""Networks that lie in folders, of runs and of models: where they are, which are loaded, and the mean of several.

The mean of the weights of networks that were trained on from one start is often better, and steadier on other footage,
than each of them ("model soups": Wortsman et al., ICML 2022, arXiv:2203.05482; with the start itself among them:
Wortsman et al., CVPR 2022, arXiv:2109.01903).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfd_core.errors import DataError, ModelError
from dfd_core.models.store import CARD, KERAS_FILE, read_card, verified_file

BEST, CHECKPOINT = "best.keras", "checkpoint.keras"  # of a run
SEARCH = "search"  # the recipe of a run of dfd search


def network_file(folder: Path) -> Path:
    """The Keras file of a run or of a model folder, the latter once its hash is the card's; DataError for neither."""
    if (folder / CARD).is_file():
        return verified_file(folder, read_card(folder), KERAS_FILE)
    if (folder / BEST).is_file():
        return folder / BEST
    raise DataError(f"{folder} holds no network: give a run of dfd train that has ended an epoch, or a model folder.")


def copy_model(model: Path, out: Path) -> None:
    """Copy a model folder; nothing is done where both are one. ModelError where there is none."""
    if out.resolve() == model.resolve():
        return
    out.mkdir(parents=True, exist_ok=True)
    for name in (*read_card(model).files, CARD):
        shutil.copy(model / name, out / name)


def trusted(path: Path) -> Path:
    """`path`, once the card.json beside it names its sha256; DataError otherwise.

    Keras runs code that a .h5 file holds, whatever `safe_mode` says (CVE-2025-9905), and .keras files had their own
    (CVE-2025-1550, CVE-2025-9906).
    """
    try:
        return verified_file(path.parent, read_card(path.parent), path.name)
    except ModelError:
        raise DataError(
            f"{path} is refused, because a model file can run code: its sha256 must stand in the card.json beside it, "
            "where dfd search writes it."
        ) from None


def take_mean(network: Any, others: Sequence[Any]) -> None:
    """Give `network` the mean of its own weights and those of `others`; DataError where they are not alike."""
    sets = [each.get_weights() for each in (network, *others)]
    shapes = [[weight.shape for weight in weights] for weights in sets]
    if any(each != shapes[0] for each in shapes):
        raise DataError("The networks are not alike: only those of one backbone and one input have a mean.")
    network.set_weights([np.mean(weights, axis=0) for weights in zip(*sets, strict=True)])
