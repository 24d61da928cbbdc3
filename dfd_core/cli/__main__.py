"""`python -m dfd_core.cli` is `dfd`."""

import sys

from dfd_core.cli.main import main

sys.exit(main())
