"""What a job of somebody else names: it says so if anybody imports it."""

import os

os.environ["DFD_TEST_IMPORTED"] = "yes"


def act(*args: object) -> None:
    """It says so, too, if anybody calls it."""
    os.environ["DFD_TEST_IMPORTED"] = "called"
