"""What a search leaves in its folder: the best network in two formats, its plot, its thresholds and its card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from dfd_core.models.store import ModelCard, ModelInput, write_card
from trainer.networks.found import BEST, LEGACY, PLOT, as_detector
from trainer.networks.trained import save
from trainer.search.drawing import draw
from trainer.search.frames import Frames
from trainer.training.run_log import THRESHOLDS, scores_of, thresholds_from


def keep(model: keras.Model, run: Path, facts: dict[str, Any], validation: Frames) -> None:
    """Write the files of the best network into `run`; the card last, because it names the hashes of all others."""
    save(model, run / BEST)
    model.save(run / LEGACY)
    draw(model, run / PLOT)
    reals = validation.images[validation.labels == 0]
    thresholds = thresholds_from(scores_of(as_detector(model), reals))
    (run / THRESHOLDS).write_text(json.dumps(asdict(thresholds)) + "\n", encoding="utf-8")
    write_card(
        run,
        ModelCard(
            name=f"{facts['recipe']['backbone']}-search",
            version=facts["commit"][:8],
            input=ModelInput(size=int(model.input_shape[1])),
            outputs={"fake": "probability"},
            thresholds=thresholds,
            data=facts["data"],
            recipe=facts["recipe"],
            commit=facts["commit"],
            seed=facts["seed"],
            figures=facts["best"],
        ),
    )
