"""Traces, received by a real OTLP/HTTP endpoint."""

import builtins
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dfd_core.errors import SettingsError
from dfd_core.settings import LogSettings
from dfd_core.types import Outcome, WindowResult, WindowScore
from workers.monitor.traces import NoTraces, open_traces

SCORED = WindowScore("cam", 3, 0, 1.0, 2.0, 0.75, {}, None, "m", 100.0, 100.25)
RESULT = WindowResult("cam", 3, Outcome.SCORED, 1.0, 2.0, 100.0, (SCORED,))
NOBODY = WindowResult("cam", 4, Outcome.NOT_SCORABLE, 1.0, 2.0, 101.0, (), "no face")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    arrived: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", arrived
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_window_is_a_trace_from_capture_to_verdict(
    collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs OpenTelemetry: pip install dfd[otel]")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    url, arrived = collector
    traces = open_traces(LogSettings(traces=url))
    traces.window(RESULT, 100.5)
    traces.window(NOBODY, 101.5)
    traces.close()
    requests = [ExportTraceServiceRequest.FromString(body) for body in arrived]
    spans = [s for r in requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]
    first = {span.name: span for span in spans if span.trace_id == spans[0].trace_id}
    assert set(first) == {"window", "capture to score", "score to verdict"}
    window = first["window"]
    assert window.end_time_unix_nano - window.start_time_unix_nano == 500_000_000
    assert first["capture to score"].end_time_unix_nano - first["capture to score"].start_time_unix_nano == 250_000_000
    assert first["score to verdict"].parent_span_id == window.span_id
    told = {a.key: a.value for a in window.attributes}
    assert (told["dfd.stream"].string_value, told["dfd.fake_probability"].double_value) == ("cam", 0.75)
    (alone,) = [span for span in spans if span.trace_id != spans[0].trace_id]
    assert {a.key: a.value.string_value for a in alone.attributes}["dfd.reason"] == "no face"


def test_without_a_collector_nothing_is_traced() -> None:
    traces = open_traces(LogSettings())
    assert isinstance(traces, NoTraces)
    traces.window(RESULT, 100.5)
    traces.close()


def test_without_the_packages_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"pip install 'dfd\[otel\]'"):
        open_traces(LogSettings(traces="http://127.0.0.1:1/v1/traces"))
