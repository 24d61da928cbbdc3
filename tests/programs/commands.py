"""Runs commands of dfd one after the other until one fails: JSON"""

import json
import sys

from dfd_core.cli.main import main

for number, argv in enumerate(json.loads(sys.argv[1])):
    print(f"== {number}", flush=True)
    code = main(argv)
    if code:
        sys.exit(code)
