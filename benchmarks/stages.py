"""Where running Python processes spend their time, by stage: py-spy's samples, told apart by file and function."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

RATE = 40  # samples a second and process
OTHERS = "others"
Rules = Sequence[tuple[str, tuple[str, ...]]]  # stage, and what one of a stack's frames must hold; the first counts
INGEST: Rules = (
    ("publish", ("publisher.py", "(redis/")),
    ("find", ("(dfd_core/faces/finder.py:find", "orientation.py", "blazeface.py", "mesh.py", "find (")),
    ("crop", ("crop (", "windows.py")),
    ("look", ("repeats.py",)),
    ("convert", ("display.py", "tonemap.py", "compression.py")),
    ("decode", ("dfd_core/media/",)),
)
WORK: Rules = (
    ("fetch", ("loading.py",)),
    (
        "network",
        ("models/litert.py", "models/openvino_runtime.py", "models/onnx_runtime.py", "models/keras_runtime.py"),
    ),
    ("checks", ("dfd_core/checks/",)),
    ("fuse", ("dfd_core/judging/",)),
    ("results", ("_settle (",)),
)


def shares(pids: Sequence[int], rules: Rules, seconds: float) -> dict[str, float]:
    """Of the time in which threads of these processes run, the share of each stage; 1 in all, empty if none ran."""
    counts: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        running = []
        for pid in pids:
            out = Path(folder) / str(pid)
            command = [str(Path(sys.executable).parent / "py-spy"), "record", "--nonblocking", "--full-filenames"]
            command += ["--pid", str(pid), "--rate", str(RATE), "--duration", str(round(seconds))]
            command += ["--format", "raw", "--output", str(out)]
            running.append((out, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)))
        for out, process in running:
            process.wait()
            for line in out.read_text().splitlines() if out.exists() else ():
                stack, _, count = line.rpartition(" ")
                counts[stage_of(stack.split(";"), rules)] += int(count)
    total = sum(counts.values())
    return {stage: count / total for stage, count in counts.items()} if total else {}


def stage_of(stack: Sequence[str], rules: Rules) -> str:
    """The first rule's that any frame of `stack` fulfils; a frame is `function (file:line)`."""
    for stage, marks in rules:
        if any(mark in frame for frame in stack for mark in marks):
            return stage
    return OTHERS
