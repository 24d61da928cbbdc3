"""Networks that lie in folders, of runs and of models: where they are, and the mean of several.

The mean of the weights of networks that were trained on from one start is often better, and steadier on other footage,
than each of them ("model soups": Wortsman et al., ICML 2022, arXiv:2203.05482; with the start itself among them:
Wortsman et al., CVPR 2022, arXiv:2109.01903).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfd_core.errors import DataError
from dfd_core.models.store import CARD, KERAS_FILE, read_card, verified_file

BEST = "best.keras"  # of a run


def network_file(folder: Path) -> Path:
    """The Keras file of a run or of a model folder, the latter once its hash is the card's; DataError for neither."""
    if (folder / CARD).is_file():
        return verified_file(folder, read_card(folder), KERAS_FILE)
    if (folder / BEST).is_file():
        return folder / BEST
    raise DataError(f"{folder} holds no network: give a run of dfd train that has ended an epoch, or a model folder.")


def take_mean(network: Any, others: Sequence[Any]) -> None:
    """Give `network` the mean of its own weights and those of `others`; DataError where they are not alike."""
    sets = [each.get_weights() for each in (network, *others)]
    shapes = [[weight.shape for weight in weights] for weights in sets]
    if any(each != shapes[0] for each in shapes):
        raise DataError("The networks are not alike: only those of one backbone and one input have a mean.")
    network.set_weights([np.mean(weights, axis=0) for weights in zip(*sets, strict=True)])
