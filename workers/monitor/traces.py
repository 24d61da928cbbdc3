"""OpenTelemetry traces: each window from the capture of its last frame to its verdict, sent to an OTLP collector.

The monitor knows all three moments (captured, scored, judged) and makes the spans afterwards: no trace context has to
travel with the pixels. Needs the extra `otel`; OpenTelemetry's own variables hold (OTEL_EXPORTER_OTLP_HEADERS, ...).
"""

from __future__ import annotations

from typing import Any, Protocol

from dfd_core.errors import SettingsError
from dfd_core.sections import LogSettings
from dfd_core.types import WindowResult

_NS = 1_000_000_000


class Traces(Protocol):
    """Where windows are told to that have their verdict."""

    def window(self, result: WindowResult, now_unix_s: float) -> None:
        """One more."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class NoTraces:
    """Tells nobody."""

    def window(self, result: WindowResult, now_unix_s: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class OtlpTraces:
    """A span `window`, and in it `capture to score` and `score to verdict`; sent in batches from a thread."""

    def __init__(self, url: str) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise SettingsError("log.traces needs OpenTelemetry: pip install 'dfd[otel]'.") from None
        self._trace: Any = trace
        self._provider = TracerProvider(resource=Resource.create({"service.name": "dfd"}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
        self._tracer = self._provider.get_tracer("dfd")

    def window(self, result: WindowResult, now_unix_s: float) -> None:
        """Its spans, with stream, outcome, faces, the highest probability, and the reason if there is none."""
        probabilities = [s.fake_probability for s in result.scores if s.fake_probability is not None]
        attributes: dict[str, Any] = {
            "dfd.stream": result.stream,
            "dfd.seq": result.seq,
            "dfd.outcome": result.outcome.value,
            "dfd.faces": len(result.scores),
        }
        if probabilities:
            attributes["dfd.fake_probability"] = max(probabilities)
        if result.reason:
            attributes["dfd.reason"] = result.reason
        captured, judged = _ns(result.captured_at_s), _ns(now_unix_s)
        window = self._tracer.start_span("window", start_time=captured, attributes=attributes)
        within = self._trace.set_span_in_context(window)
        if result.scores:
            scored = _ns(max(score.scored_at_s for score in result.scores))
            for name, start, end in (("capture to score", captured, scored), ("score to verdict", scored, judged)):
                self._tracer.start_span(name, context=within, start_time=start).end(end)
        window.end(judged)

    def close(self) -> None:
        """Send what is left; a collector that does not answer is not waited for longer than the exporter does."""
        self._provider.shutdown()


def open_traces(settings: LogSettings) -> Traces:
    """To the collector that the settings name, or to nobody."""
    return OtlpTraces(settings.traces) if settings.traces else NoTraces()


def _ns(unix_s: float) -> int:
    return int(unix_s * _NS)
