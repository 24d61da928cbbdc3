"""A command of `dfd` that talks for ever: STREAM print|console"""

import argparse
import sys
import types

from dfd_core.cli import main as cli
from dfd_core.console import PlainConsole
from dfd_core.settings import Settings


def run(args: argparse.Namespace, settings: Settings) -> int:
    stream = getattr(sys, sys.argv[1])
    while True:
        if sys.argv[2] == "print":
            print("x" * 999, file=stream)
        else:
            PlainConsole(file=stream).print("x" * 999)


if __name__ == "__main__":
    sys.modules["endless"] = types.SimpleNamespace(EXAMPLES="", add_arguments=lambda parser: None, run=run)
    cli.COMMANDS["endless"] = cli.Command("endless", "Talks.")
    sys.exit(cli.main(["endless"]))
