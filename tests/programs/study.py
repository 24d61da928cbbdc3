"""Runs a study: NAME ARGUMENT..."""

import importlib
import sys

importlib.import_module(f"trainer.studies.{sys.argv[1]}").main(sys.argv[2:])
