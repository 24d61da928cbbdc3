"""The console script `dfd`: one table of commands, each a module that is imported only when it is called.

A command module has `EXAMPLES` (text), `add_arguments(parser)` and `run(args, settings) -> int`; what it is for stands
in the table, so that `dfd --help` imports none of them.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn

from dfd_core import __version__
from dfd_core.environment import check_keras_backend, settings_of
from dfd_core.errors import DfdError
from dfd_core.names import one_line, print_any_name, without_addresses, without_secrets
from dfd_core.process.bounds import own_the_process

READER_GONE = 141  # what shells report of a process that SIGPIPE ended


class Command(NamedTuple):
    """A module, what it is for, and the exit code of a wrong command line or setting."""

    module: str
    help: str
    wrong: int = 2


COMMANDS = {
    "watch": Command("workers.watch.command", "watch cameras and files: verdicts, metrics, everything started for you"),
    "ingest": Command("ingest.command", "read sources and queue their faces in Redis"),
    "streams": Command(
        "dfd_core.cli.streams", "list, add, remove, pause and resume streams of a running system", wrong=2
    ),
    "poison": Command(
        "dfd_core.cli.poison", "list, export and drop windows that were set aside: no worker survived them"
    ),
    "work": Command("workers.fleet.supervisor", "score the windows and the files that wait in Redis"),
    "monitor": Command("workers.monitor.command", "turn window results into verdicts and serve /metrics"),
    "evidence": Command(
        "workers.evidence.command", "keep a folder for each alarm: crops, heat map, plots, facts, hashes"
    ),
    "evidence verify": Command("workers.evidence.verify", "check that the files of kept evidence are as they were"),
    "serve": Command("workers.serve.command", "answer over HTTP: files, streams, alarms, events"),
    "scan": Command("dfd_core.cli.scan", "score videos, images and folders here and now, without Redis", wrong=1),
    "submit": Command("workers.bulk.submit", "put files on the bulk queue"),
    "jobs": Command("workers.bulk.progress", "tell how far the submitted files are"),
    "jobs cancel": Command("workers.bulk.cancel", "take files off the bulk queue that have no report yet"),
    "jobs retry": Command("workers.bulk.retry", "queue failed files of the bulk queue again"),
    "results": Command("workers.bulk.results", "what was found in the submitted files"),
    "calibrate": Command(
        "dfd_core.cli.calibrate",
        "fit a stream's own alarm threshold to footage of it that is known to be real",
    ),
    "evaluate": Command(
        "trainer.measuring.evaluate",
        "measure the model on a manifest of labelled files: scores.csv, report.json, roc.png",
    ),
    "data build": Command(
        "trainer.data.build",
        "cut the faces out of a collection of videos and pictures, into one HDF5 data set",
    ),
    "data fakes": Command(
        "trainer.fakes.command", "make a fake of every real window of a data set: a data set of pairs"
    ),
    "data film": Command(
        "trainer.fakes.filming", "film the portraits of a data set: short videos of real and generated ones alike"
    ),
    "data duplicates": Command(
        "trainer.data.duplicates", "find pictures that several files of data sets show, and leaks between their sides"
    ),
    "data info": Command(
        "trainer.data.info",
        "counts by split, group, method and licence of a data set, and a contact sheet",
    ),
    "train": Command(
        "trainer.training.command",
        "train a detector: transfer learning on faces, with fakes of your own, or made on the way",
    ),
    "gan": Command(
        "trainer.fakes.gan.command",
        "train a GAN on the faces of a data set; its generator makes whole faces as pseudo-fakes",
    ),
    "search": Command("trainer.search.command", "let AutoKeras search for a network that can be deployed"),
    "export": Command(
        "trainer.networks.export",
        "turn a training run into a model folder: LiteRT for CPUs, Keras for GPUs, and a card with their hashes",
    ),
    "texture": Command(
        "trainer.training.texture",
        "give a model the check texture, fitted to windows of real-world clips in minutes",
    ),
    "fuse": Command(
        "trainer.measuring.fusing",
        "fit the fusion, the calibration and the thresholds of a model on clips of held-out faces and real videos",
    ),
    "doctor": Command(
        "dfd_core.cli.doctor",
        "say what is installed, which model and runtime score, and whether Redis is reachable",
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; a DfdError becomes one sentence on stderr and its exit code."""
    if argv is None:
        own_the_process()
    print_any_name()
    # OpenCV's threads cost more than they give on pictures as small as faces (a 64 px optical flow: 6.3 ms of CPU with
    # two threads, 0.4 ms with one), and processes share the cores already. cv2 and child processes read it later.
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:  # it is where the shell closed it
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        return READER_GONE
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print("dfd: What was to be written was not: the disk is full.", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what still waits goes nowhere
        elif isinstance(error.filename, str | os.PathLike):  # a place that was named on the command line, mostly
            name = one_line(without_secrets(os.fspath(error.filename)))
            print(f"dfd: {name} cannot be read or written: {(error.strerror or 'no reason').lower()}.", file=sys.stderr)
        else:
            raise
        return DfdError.exit_code


def _dispatch(argv: list[str]) -> int:
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in COMMANDS), 0)
    if not words:
        return _overview(argv)
    name = " ".join(argv[:words])
    command = COMMANDS[name]
    try:
        return _run(name, command, argv[words:])
    except DfdError as error:
        print(f"dfd: {one_line(without_secrets(str(error), argv))}", file=sys.stderr)
        return min(error.exit_code, command.wrong)


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong without repeating addresses, whose passwords would stand in a log then."""

    words: Sequence[str] = ()  # that are parsed

    def error(self, message: str) -> NoReturn:
        """Usage, `message`, and the end of the process."""
        super().error(without_addresses(message, self.words))


def _run(name: str, command: Command, argv: list[str]) -> int:
    module = _module(name, command)
    parser = _Parser(
        prog=f"dfd {name}",
        description=command.help,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    common = parser.add_argument_group("settings")
    common.add_argument("--config", type=Path, help="TOML file with [sections] of settings")
    common.add_argument("--redis", metavar="URL", help="Redis server (also DFD_REDIS_URL)")
    common.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="any setting")
    parser.words = argv
    try:
        args = parser.parse_args(argv)
    except SystemExit as told:  # of what is wrong, or of all flags
        return command.wrong if told.code else 0
    if command.module.startswith("trainer."):
        check_keras_backend()
    return int(module.run(args, settings_of(args)))


def _module(name: str, command: Command) -> ModuleType:
    """The command's module; DfdError where a package that it needs is not installed."""
    try:
        return importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        top = ".".join(command.module.split(".")[:2])
        extra = "[trainer]" if top.startswith("trainer.") else "[serve]" if top == "workers.serve" else ""
        raise DfdError(f"dfd {name} needs the package {error.name}: pip install 'dfd{extra}'.") from None


def _overview(argv: list[str]) -> int:
    if argv == ["--version"]:
        print(f"dfd {__version__}")
        return 0
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{command.help}" for name, command in COMMANDS.items()]
    usage = "usage: dfd COMMAND [...]     (dfd COMMAND --help explains each)\n\n" + "\n".join(lines)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage)
        return 0
    print(f"dfd: unknown command '{one_line(without_addresses(argv[0], argv[:1]))}'.\n{usage}", file=sys.stderr)
    return 2


def _reader_has_gone() -> bool:
    """Whether nobody reads our output any more, as after `| head -1`; what is still to be written then goes nowhere."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        try:
            number = stream.fileno()
        except (OSError, AttributeError):  # it is no file, or was closed: of a test, or of a program that embeds dfd
            continue
        watch = select.poll()
        watch.register(number, select.POLLOUT)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0)):
            gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return gone


if __name__ == "__main__":
    sys.exit(main())
