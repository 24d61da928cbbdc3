"""`dfd export --format`: the same networks in other formats, and ONNX Runtime, which runs one of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import ModelError
from dfd_core.models.network import LOGIT
from dfd_core.models.runtime import open_runtime
from dfd_core.models.store import SHIPPED, ModelCard, ModelInput, read_card, write_card
from tests.keras_process import KerasProcess

onnx = pytest.importorskip("onnx", reason="needs tf2onnx: pip install dfd[trainer]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install dfd[onnx]")

SIDE = 64


def images(count: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 255, (count, side, side, 3)).astype(np.uint8)


def mean_network(path: Path, output: str = LOGIT, side: int = SIDE) -> None:
    """An .onnx file whose logit is the mean of the picture."""
    of = onnx.helper
    taken = of.make_tensor_value_info("pictures", onnx.TensorProto.FLOAT, [None, side, side, 3])
    given = of.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [None, 1])
    nodes = [
        of.make_node("Flatten", ["pictures"], ["flat"], axis=1),
        of.make_node("ReduceMean", ["flat", "one"], [output], keepdims=1),
    ]
    one = onnx.numpy_helper.from_array(np.array([1]), "one")
    graph = of.make_graph(nodes, "mean", [taken], [given], [one])
    onnx.save(of.make_model(graph, opset_imports=[of.make_opsetid("", 18)], ir_version=10), str(path))


def folder_of(tmp_path: Path, **options: object) -> Path:
    mean_network(tmp_path / "model.onnx", **options)
    write_card(tmp_path, ModelCard("mean", "1", input=ModelInput(SIDE, mean=10.0, scale=0.5)))
    return tmp_path


@pytest.mark.parametrize("count", [0, 1, 8, 19])
def test_onnx_runtime_gives_each_image_its_logit(tmp_path: Path, count: int) -> None:
    runtime, given = open_runtime(folder_of(tmp_path), "onnx", 1), images(count)
    expected = (given.reshape(count, SIDE * SIDE * 3).astype(np.float64) - 10).mean(axis=1, keepdims=True) * 0.5
    assert runtime.run(given)[LOGIT] == pytest.approx(expected, abs=1e-3)


def test_onnx_runtime_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none is called 'logit'"):
        open_runtime(folder_of(tmp_path, output="other"), "onnx", 1)
    with pytest.raises(ModelError, match="its card says float32 of 64 px"):
        open_runtime(folder_of(tmp_path, side=32), "onnx", 1)
    (tmp_path / "model.onnx").write_bytes(b"no network")
    write_card(tmp_path, read_card(tmp_path))
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load .*model\.onnx"):
        open_runtime(tmp_path, "onnx", 1)


def test_a_model_without_onnx_says_how_to_get_it(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"has no model\.onnx: add it by `dfd export .* --format onnx`"):
        open_runtime(tiny_model, "onnx", 1)


def test_doctor_measures_onnx_where_the_model_has_it(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    mean_network(model / "model.onnx")
    write_card(model, read_card(model))
    main(["doctor", "--json", "--set", f"model.path={model}"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (speed,) = (finding["value"] for finding in found if finding["what"] == "speed")
    assert "litert" in speed
    assert "onnx" in speed


def test_export_of_a_model_folder_needs_a_format(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tiny_model), "--out", str(tmp_path / "out")]) == 1
    assert "say with --format what to add" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow  # TensorFlow, which tf2onnx imports
@pytest.mark.parametrize("name", ["tiny", "shipped"])
def test_what_is_exported_gives_what_litert_gives(
    name: str, tiny_model: Path, tmp_path: Path, in_keras: KerasProcess
) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install dfd[openvino]")
    from dfd_core.models.openvino_runtime import core

    source = SHIPPED if name == "shipped" else tiny_model
    words = ["export", source, "--out", tmp_path, "--format", "onnx", "--format", "openvino"]
    done = in_keras("commands", json.dumps([[str(word) for word in words]]))
    assert done.ok, done.stdout + done.stderr
    card = read_card(tmp_path)
    assert (card.fusion, card.thresholds) == (read_card(source).fusion, read_card(source).thresholds)
    given, exact = images(11, card.input.size), {"INFERENCE_PRECISION_HINT": "f32"}  # it may take bfloat16 by itself
    for texture in (False, True) if name == "shipped" else (False,):
        lite, other = (open_runtime(tmp_path, kind, 1, texture=texture).run(given) for kind in ("litert", "onnx"))
        assert set(lite) == set(other)
        assert all(other[output] == pytest.approx(lite[output], abs=1e-3) for output in lite)
        network = core().compile_model(tmp_path / f"{'texture' if texture else 'model'}.xml", "CPU", exact)
        found = network(given.astype(np.float32)).to_dict().values()
        assert any(values.shape == lite[LOGIT].shape and np.abs(values - lite[LOGIT]).max() < 1e-3 for values in found)
