"""What the monitor serves, looked at all the time, as Prometheus does: values now, and how counters have grown."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

LOOK_S = 0.25
Sample = tuple[str, frozenset[tuple[str, str]]]


class Watch:
    """Scrapes `/metrics` of the monitor at `port`; a monitor that starts anew at zero takes nothing from what grew."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._lock = threading.Lock()
        self._now: dict[Sample, float] = {}
        self._before: dict[Sample, float] = {}
        self._grown: dict[Sample, float] = defaultdict(float)
        self._served = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def served(self) -> bool:
        """Whether the last look found a monitor."""
        return self._served

    def value(self, name: str, **labels: str) -> float | None:
        """The newest value; None where none is served."""
        with self._lock:
            return self._now.get((name, frozenset(labels.items())))

    def grown(self, name: str, **labels: str) -> float:
        """How much a counter has grown since the watch began, summed over the labels that are not given."""
        wanted = set(labels.items())
        with self._lock:
            return sum(value for (known, own), value in self._grown.items() if known == name and wanted <= own)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                with urllib.request.urlopen(self._url, timeout=5) as reply:
                    text = reply.read().decode()
            except OSError:
                self._served = False
                with self._lock:
                    self._now = {}
                continue
            self._take(text)
            self._served = True

    def _take(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        now = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
        with self._lock:
            self._now = now
            for sample, value in now.items():
                if sample[0].endswith(("_total", "_count", "_sum")):
                    before = self._before.get(sample, 0.0)
                    self._grown[sample] += value - before if value >= before else value
                    self._before[sample] = value


def wait_until(what: Callable[[], object], within_s: float, every_s: float = 0.1) -> float | None:
    """Seconds until `what()` is true; None where it is not within `within_s`."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < within_s:
        if what():
            return passed
        time.sleep(every_s)
    return None
