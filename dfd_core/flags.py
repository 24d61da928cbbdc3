"""Numbers on a command line, as `type` of a flag: what no run can mean is told before anything is done."""

from __future__ import annotations

import argparse
import math

_MOST = 10**9  # of anything that is counted on a command line, or seconds


def whole(text: str) -> int:
    """A whole number from 0 on; ArgumentTypeError for any other text, as below."""
    return _whole(text, 0)


def count(text: str) -> int:
    """A whole number from 1 on."""
    return _whole(text, 1)


def above_0(text: str) -> float:
    """A number above 0, and finite."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _MOST:
        raise argparse.ArgumentTypeError(f"give a number above 0, not '{text[:40]}'")
    return number


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not least <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"give a whole number from {least} on, not '{text[:40]}'")
    return number
