"""What no linter holds: where imports stand, and how long files and functions are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("dfd_core", "workers", "ingest", "trainer", "tests", "benchmarks", "deploy")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
MODULES = [path for path in FILES if path.relative_to(ROOT).parts[0] in ("dfd_core", "workers", "ingest", "trainer")]
FILE_LINES, FUNCTION_LINES = 300, 40

# Imports that may stand inside functions: slow ones, of what may be absent, or of what `dfd doctor` may find broken.
LATE = {
    "dfd_core/cli/doctor.py": {"av", "dfd_core.faces.blazeface"},
    "dfd_core/models/runtime.py": {
        "dfd_core.models.keras_runtime",
        "dfd_core.models.litert",
        "dfd_core.models.onnx_runtime",
        "dfd_core.models.openvino_runtime",
    },
    "dfd_core/reporting/page.py": {"jinja2"},
    "trainer/data/layouts/__init__.py": {
        f"trainer.data.layouts.{name}"
        for name in ("celeb_df", "clips", "dfdc", "faceforensics", "folders", "manifest", "portraits")
    },
    "trainer/data/storage.py": {"hdf5plugin"},
    "trainer/fakes/command.py": {"keras", "trainer.fakes.gan.conv"},
    "trainer/fakes/gan/command.py": {"trainer.fakes.gan.adversaries", "trainer.networks.arithmetic"},
    "trainer/fakes/restoration.py": {"ncnn"},
    "trainer/measuring/figures.py": {"matplotlib"},
    "trainer/measuring/held_out.py": {"trainer.networks.litert", "trainer.networks.serving"},
    "trainer/networks/arithmetic.py": {"torch"},
    "trainer/networks/backbones/__init__.py": {"trainer.networks.backbones", "trainer.networks.backbones.applications"},
    "trainer/networks/export.py": {"keras", "trainer.networks.found", "trainer.networks.serving"},
    "trainer/networks/formats.py": {"dfd_core.models.openvino_runtime", "onnx", "openvino", "tf2onnx"},
    "trainer/networks/keras_patches.py": {"keras.src.backend.torch"},
    "trainer/networks/litert.py": {"tensorflow"},
    "trainer/search/autokeras_patches.py": {"keras"},
    "trainer/search/command.py": {"trainer.search.artefacts", "trainer.search.tuner"},
    "trainer/search/drawing.py": {"matplotlib"},
    "trainer/studies/temporal.py": {"keras", "trainer.networks.litert"},
    "trainer/training/command.py": {"trainer.training.folds", "trainer.training.loop"},
    "trainer/training/packed_run.py": {"keras", "PIL"},
    "trainer/training/texture.py": {"trainer.networks.texture", "trainer.training.discriminant"},
    "trainer/training/run_log.py": {"matplotlib", "tensorboard"},
    "workers/evidence/places.py": {"workers.evidence"},
    "workers/monitor/outside.py": {"urllib3", "paho", "workers.monitor.webhook", "workers.monitor.mqtt"},
    "workers/monitor/traces.py": {"opentelemetry"},
}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_nothing_is_imported_inside_a_function_unless_listed(path: Path) -> None:
    allowed = LATE.get(named(path), set())
    late = {name for function in functions(path) for name in imported(function)}
    assert not {name for name in late if name not in allowed and name.split(".")[0] not in allowed}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_no_function_is_long(path: Path) -> None:
    lengths = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}
