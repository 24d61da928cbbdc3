"""One process with Keras in it for all tests that need Keras, because importing TensorFlow takes a minute."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PLACE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script printed, and whether it came to its end."""

    ok: bool
    stdout: str
    stderr: str


class KerasProcess:
    """`process(name, *arguments)` runs tests/programs/NAME.py in a namespace of its own with `sys.argv` set."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def __call__(self, name: str, *arguments: object) -> Ran:
        if self._child is None:
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, "-m", "tests.keras_process"]
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=_PLACE
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([name, *map(str, arguments)]) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        assert answer, "the process with Keras died"
        return Ran(**json.loads(answer))

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            assert self._child.stdin is not None
            assert self._child.stdout is not None
            self._child.stdin.close()
            self._child.kill()
            self._child.wait()
            self._child.stdout.close()


def _run(name: str, arguments: list[str]) -> dict[str, Any]:
    import keras

    keras.utils.clear_session()
    keras.mixed_precision.set_global_policy("float32")  # training leaves its own behind
    out, err, ok = io.StringIO(), io.StringIO(), True
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            program = _PLACE / "tests" / "programs" / f"{name}.py"
            exec(compile(program.read_text(), str(program), "exec"), {"__name__": "__main__"})
        except SystemExit as stop:
            ok = not stop.code
        except BaseException:  # noqa: BLE001  the test tells it
            traceback.print_exc()
            ok = False
    return {"ok": ok, "stdout": out.getvalue(), "stderr": err.getvalue()}


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what native code prints is no answer
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(_run(name, arguments)), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
