"""Packs samples, or adopts what was learned from them: ARGUMENT..."""

import sys

from trainer.training.packs import main

main(sys.argv[1:])
