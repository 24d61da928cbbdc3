"""The console script `dfd`: one table of commands, each a module that is imported only when it is called.

A command module has `HELP` (one line), `EXAMPLES` (text), `add_arguments(parser)` and `run(args, settings) -> int`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from dfd_core import __version__
from dfd_core.errors import DfdError
from dfd_core.names import one_line, print_any_name
from dfd_core.settings import load_settings, parse_assignments

READER_GONE = 141  # what shells report of a process that SIGPIPE ended
COMMANDS = {
    "watch": "workers.watch",
    "ingest": "ingest.app",
    "work": "workers.supervisor",
    "monitor": "workers.monitor",
    "scan": "workers.scan",
    "submit": "ingest.submit",
    "jobs": "workers.bulk.overview",
    "jobs cancel": "workers.bulk.cancel",
    "jobs retry": "workers.bulk.retry",
    "results": "workers.bulk.results",
    "calibrate": "workers.calibrate",
    "evaluate": "trainer.evaluate",
    "data build": "trainer.data.build",
    "data fakes": "trainer.data.fakes",
    "data info": "trainer.data.info",
    "train": "trainer.train",
    "gan": "trainer.gan.train",
    "search": "trainer.search.command",
    "export": "trainer.export",
    "fuse": "trainer.fusing",
    "doctor": "dfd_core.doctor",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; a DfdError becomes one sentence on stderr and its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    print_any_name()
    try:
        try:
            code = _dispatch(argv)
        except DfdError as error:
            print(f"dfd: {one_line(str(error))}", file=sys.stderr)
            code = error.exit_code
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        return READER_GONE


def _reader_has_gone() -> bool:
    """Whether nobody reads our output any more, as after `| head -1`; what is still to be written then goes nowhere."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return gone


def _dispatch(argv: list[str]) -> int:
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in COMMANDS), 0)
    if not words:
        return _overview(argv)
    name, argv = " ".join(argv[:words]), argv[words:]
    module = importlib.import_module(COMMANDS[name])
    parser = argparse.ArgumentParser(
        prog=f"dfd {name}",
        description=module.HELP,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    common = parser.add_argument_group("settings")
    common.add_argument("--config", type=Path, help="TOML file with [sections] of settings")
    common.add_argument("--redis", metavar="URL", help="Redis server (also DFD_REDIS_URL)")
    common.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="any setting")
    args = parser.parse_args(argv)
    flags = parse_assignments(args.set)
    if args.redis is not None:
        flags["redis.url"] = args.redis
    settings = load_settings(args.config, flags)
    return int(module.run(args, settings))


def _overview(argv: list[str]) -> int:
    if argv == ["--version"]:
        print(f"dfd {__version__}")
        return 0
    lines = [f"  {name:<12}{_help_of(dotted)}" for name, dotted in COMMANDS.items()]
    usage = "usage: dfd COMMAND [...]     (dfd COMMAND --help explains each)\n\n" + "\n".join(lines)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage)
        return 0
    print(f"dfd: unknown command '{argv[0]}'.\n{usage}", file=sys.stderr)
    return 2


def _help_of(dotted: str) -> str:
    try:
        return str(importlib.import_module(dotted).HELP)
    except ImportError as error:
        return f"(not available: install what gives '{error.name}')"


if __name__ == "__main__":
    sys.exit(main())
