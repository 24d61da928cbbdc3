"""What people said of alarms, as footage that is known to be real: for `dfd calibrate --false-alarms`."""

from __future__ import annotations

from dfd_core.errors import DataError
from dfd_core.judging.calibration import fit_thresholds
from dfd_core.models.store import model_folder, read_card
from dfd_core.queue import keys
from dfd_core.queue.alarms import AlarmBook, Review
from dfd_core.queue.broker import connect, told
from dfd_core.settings import Settings
from dfd_core.types import Outcome, Thresholds, WindowResult, WindowScore


def fitted_to_false_alarms(stream: str, settings: Settings) -> tuple[Thresholds, int]:
    """Thresholds at which none of the stream's alarms that people call false would have been one, and their number.

    DataError where there is none whose windows are known; QueueError where Redis is away.
    """
    recommended = read_card(model_folder(settings.model.path)).thresholds
    client = connect(settings.redis)
    try:
        with told(settings.redis):
            book = AlarmBook(client)
            alarms = book.find(stream=stream, review=Review.FALSE_ALARM, limit=keys.ALARMS_CAP)
            windows = [[_result(score) for score in book.windows(alarm.id)] for alarm in alarms]
    finally:
        client.close()
    fits = [own for results in windows if (own := fit_thresholds(results, settings.verdict, recommended))]
    if not fits:
        raise DataError(
            f"No alarm of {stream} whose windows are known was called a false one: say so in the console, "
            "or by PATCH /v1/alarms/ID."
        )
    return max(fits, key=lambda own: own.enter), len(fits)


def _result(score: WindowScore) -> WindowResult:
    """The window, as if its face were the only one."""
    outcome = Outcome.NOT_SCORABLE if score.fake_probability is None else Outcome.SCORED
    times = score.start_s, score.end_s, score.captured_at_s
    return WindowResult(score.stream, score.seq, outcome, *times, (score,), score.reason)
