"""A model is a folder: its files (`model.tflite`, `model.keras`, ...), and a `card.json` with the sha256 of each.

Reading a card loads no network and imports no framework. A file is used only after its hash matched its card: Keras
archives can carry code (CVE-2025-1550, CVE-2025-9906), and a half-copied network would score nonsense in silence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dfd_core.errors import ModelError
from dfd_core.types import Thresholds

CARD = "card.json"
LITERT_FILE = "model.tflite"
KERAS_FILE = "model.keras"
TEXTURE_LITERT_FILE, TEXTURE_KERAS_FILE = "texture.tflite", "texture.keras"  # of a model that has the check texture
ONNX_FILE, TEXTURE_ONNX_FILE = "model.onnx", "texture.onnx"  # where `dfd export --format onnx` wrote them
SHIPPED = Path(__file__).parent / "files" / "appearance"  # the model that comes with dfd
_CHUNK = 2**20  # bytes read at once
DEFAULT_THRESHOLDS = Thresholds(enter=0.5, exit=0.4)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the network eats: float32 RGB (B, size, size, 3), each value `(byte - mean) * scale`."""

    size: int = 224
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All that is known of a model; `files` maps file name to sha256 (hex); `figures` holds what was measured.

    `fusion` gives the weight and bias of each check's logit, as dfd_core.judging.fusion reads them.
    """

    name: str
    version: str
    files: dict[str, str] = field(default_factory=dict)
    input: ModelInput = field(default_factory=ModelInput)
    outputs: dict[str, Any] = field(default_factory=dict)
    views: tuple[str, ...] = ()  # of texture, in the order of its logits
    fusion: dict[str, Any] = field(default_factory=dict)
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    data: Any = None
    recipe: Any = None
    commit: str = ""
    seed: int | None = None
    licence: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def read_card(folder: Path) -> ModelCard:
    """The card of the model in `folder`; ModelError when there is none or it is not one of ours."""
    path = folder / CARD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"No model in {folder}: {CARD} is missing; set model.path to an exported model.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The model card {path} cannot be read: {error}.") from None
    try:
        return _card_of(values)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"The model card {path} is not valid: {error}.") from None


def verified_file(folder: Path, card: ModelCard, name: str) -> Path:
    """Path of the model's file `name`, once its sha256 is the card's; ModelError otherwise."""
    path = folder / name
    if name not in card.files or not path.is_file():
        raise ModelError(f"The model {card.name} in {folder} has no {name}; export it again or choose another runtime.")
    if sha256_of(path) != card.files[name]:
        raise ModelError(f"{path} is not the file that its card names (sha256 differs); install or export it again.")
    return path


def write_card(folder: Path, card: ModelCard) -> ModelCard:
    """Write `card.json` beside the files already in `folder`, with the sha256 of each; the card as written."""
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != CARD and not p.name.startswith("."))
    card = replace(card, files={name: sha256_of(folder / name) for name in names})
    (folder / CARD).write_text(json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


def model_folder(path: str) -> Path:
    """Where the model of the setting `model.path` lives: that folder, or the shipped one when it is empty."""
    return Path(path).expanduser() if path else SHIPPED


def model_name(card: ModelCard) -> str:
    """Name and version, as scores, metrics and the bulk queue carry it."""
    return f"{card.name}-{card.version}"


def sha256_of(path: Path, alive: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file's bytes, hex; `alive` is called after each mebibyte, for slow disks take minutes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            alive()
    return digest.hexdigest()


def _card_of(values: Mapping[str, Any]) -> ModelCard:
    unknown = set(values) - {f.name for f in fields(ModelCard)}
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    card = ModelCard(**values)
    if not (isinstance(card.name, str) and isinstance(card.version, str) and isinstance(card.files, dict)):
        raise TypeError("name and version must be text, files a table")
    if any(Path(name).name != name for name in card.files):
        raise ValueError("files must lie in the model's own folder")
    thresholds = Thresholds(**values["thresholds"]) if values.get("thresholds") else DEFAULT_THRESHOLDS
    if not 0 <= thresholds.exit <= thresholds.enter <= 1:
        raise ValueError(f"thresholds need 0 <= exit <= enter <= 1, not {thresholds}")
    if not all(isinstance(view, str) for view in card.views):
        raise TypeError("views must be names")
    return replace(
        card,
        views=tuple(card.views),
        input=ModelInput(**values.get("input") or {}),
        thresholds=thresholds,
    )
