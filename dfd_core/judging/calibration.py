"""Thresholds of single streams: fitted to footage that is known to be real, kept in one TOML file.

[lobby-cam]        # the name of the stream
enter = 0.93
exit = 0.87
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from dfd_core.errors import SettingsError
from dfd_core.judging.fusion import logit
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.settings import VerdictSettings
from dfd_core.small_files import read_small_text
from dfd_core.types import Thresholds, WindowResult

_LEAST_MARGIN = 0.5  # in log odds, above the lowest threshold at which the footage raises no alarm
_HIGHEST = 0.999


def settings_by_stream(settings: VerdictSettings) -> Callable[[str], VerdictSettings]:
    """What gives each stream `settings` with its own thresholds, where the file `verdict.thresholds` has some.

    The file is read once, now; SettingsError for a wrong one.
    """
    known = read_thresholds(Path(settings.thresholds)) if settings.thresholds else {}

    def of(stream: str) -> VerdictSettings:
        own = known.get(stream)
        return settings if own is None else replace(settings, enter=own.enter, exit=own.exit)

    return of


def fit_thresholds(
    results: Sequence[WindowResult], settings: VerdictSettings, recommended: Thresholds
) -> Thresholds | None:
    """Thresholds at which `results`, all of real footage, raise no alarm; None where nothing was scorable.

    `enter` is the lowest at which the verdicts' own state machine stays silent, but not below the recommended `exit`,
    and above it a margin in log odds: the standard deviation of the windows' log odds, at least 0.5. `exit` lies as
    far below `enter`, in log odds, as the recommended one does.
    """
    known = sorted({s.fake_probability for r in results for s in r.scores if s.fake_probability is not None})
    if not known:
        return None
    floor = logit(recommended.exit)
    low, high = 0, len(known)  # known[high:] are silent; `enter` above all of them surely is
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_silent(results, settings, known[middle]) else (middle + 1, high)
    level = logit(known[low]) if low < len(known) else logit(known[-1])
    odds = [logit(s.fake_probability) for r in results for s in r.scores if s.fake_probability is not None]
    enter = max(floor, level) + max(_LEAST_MARGIN, float(np.std(odds)))
    gap = logit(recommended.enter) - floor
    return Thresholds(min(_HIGHEST, _probability(enter)), min(_HIGHEST, _probability(enter - gap)))


def read_thresholds(path: Path) -> dict[str, Thresholds]:
    """Thresholds by stream; SettingsError for a file that cannot be read or holds anything else."""
    try:
        tables = tomllib.loads(read_small_text(path))
        return {stream: _checked(table) for stream, table in tables.items()}
    except OSError as error:
        raise SettingsError(f"Cannot read the thresholds {path}: {error.strerror}.") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise SettingsError(f"The thresholds {path} need tables [stream] with enter and exit: {error}.") from None


def write_thresholds(path: Path, thresholds: Mapping[str, Thresholds]) -> None:
    """Write the file that `read_thresholds` reads."""
    tables = [
        f"[{stream}]\n" + "".join(f"{name} = {value:.4f}\n" for name, value in asdict(own).items())
        for stream, own in sorted(thresholds.items())
    ]
    path.write_text("\n".join(tables), encoding="utf-8")


def _is_silent(results: Sequence[WindowResult], settings: VerdictSettings, enter: float) -> bool:
    machine = VerdictMachine(replace(settings, enter=enter, exit=enter), Thresholds(enter, enter))
    for result in results:
        machine.update(result)
    return not machine.intervals()


def _checked(table: object) -> Thresholds:
    if not isinstance(table, dict) or not all(isinstance(value, int | float) for value in table.values()):
        raise TypeError("a threshold must be a number")
    own = Thresholds(**table)
    if not 0 < own.exit <= own.enter <= 1:
        raise ValueError(f"0 < exit <= enter <= 1 does not hold for {table}")
    return own


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
