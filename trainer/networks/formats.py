"""The LiteRT networks of a model folder in further formats: ONNX (ONNX Runtime), and OpenVINO's own (its servers)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from dfd_core.errors import DataError
from dfd_core.models.litert import output_names
from dfd_core.models.store import LITERT_FILE, TEXTURE_LITERT_FILE, ModelCard, read_card, verified_file

FORMATS = ("onnx", "openvino")
_OPSET = 18


def add_formats(folder: Path, formats: Sequence[str]) -> None:
    """Write each of `formats` beside every LiteRT network in `folder`; DataError where a package is missing."""
    networks = [path for name in (LITERT_FILE, TEXTURE_LITERT_FILE) if (path := folder / name).is_file()]
    for name in dict.fromkeys(formats):
        try:
            for path in networks:
                _WRITERS[name](path)
        except ImportError as error:
            raise DataError(
                f"--format {name} needs the package {error.name}: pip install 'dfd[trainer,{name}]'."
            ) from None


def copied(folder: Path, out: Path) -> ModelCard:
    """The files of the model in `folder` copied to `out`, once their hashes are the card's; the card."""
    card = read_card(folder)
    if folder.resolve() != out.resolve():
        out.mkdir(parents=True, exist_ok=True)
        for name in card.files:
            shutil.copyfile(verified_file(folder, card, name), out / name)
    return card


def _to_onnx(path: Path) -> None:
    """An .onnx file beside `path`, of any batch size, in float32, its outputs called as those of the .tflite file."""
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_tflite(str(path), opset=_OPSET)
    net = Interpreter(model_path=str(path))
    tensors = {details["index"]: details["name"] for details in net.get_output_details()}
    names = {tensors[index]: name for name, (index, _) in output_names(net).items()}
    for output in model.graph.output:
        name = names[output.name]
        model.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        output.name = name
    onnx.save(model, str(path.with_suffix(".onnx")))


def _to_openvino(path: Path) -> None:
    """An .xml and a .bin file beside `path`, weights in float16 as theirs."""
    import openvino

    from dfd_core.models.openvino_runtime import core

    openvino.save_model(core().read_model(str(path)), str(path.with_suffix(".xml")), compress_to_fp16=True)


_WRITERS = {"onnx": _to_onnx, "openvino": _to_openvino}
