"""Who is told of metrics: everybody on this machine, and others who bear a token whose hash is in a file."""

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from dfd_core.cli.main import main
from dfd_core.errors import SettingsError
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.settings import Settings

TOKEN = "a token of some length"  # noqa: S105  of this test


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def ask(port: int, path: str, authorization: str = "") -> tuple[int, str]:
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("dfd_something", "Of a test", registry=made).set(7)
    return made


def test_on_loopback_everybody_is_told(registry: CollectorRegistry) -> None:
    port = serve_metrics(registry, "127.0.0.1", 0)
    assert port is not None
    status, text = ask(port, "/metrics")
    assert (status, text.splitlines()[-1]) == (200, "dfd_something 7.0")
    assert ask(port, "/healthz") == (200, "ok\n")


def test_with_hashes_in_a_file_only_who_bears_their_token(registry: CollectorRegistry, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sha256"
    path.write_text(f"# of Prometheus\n{hash_of(TOKEN)}\n\n{hash_of('second')} of another\n")
    port = serve_metrics(registry, "127.0.0.1", 0, str(path))
    assert port is not None
    for token in (TOKEN, "second"):
        assert "dfd_something 7.0" in ask(port, "/metrics", f"Bearer {token}")[1]
    for wrong in ("", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {hash_of(TOKEN)}", "Bearer caf\xe9"):
        status, said = ask(port, "/metrics", wrong)
        assert status == 401
        assert "dfd_something" not in said
    assert ask(port, "/")[0] == ask(port, "/metrics?name=dfd_something")[0] == 401
    assert ask(port, "/healthz") == (200, "ok\n")
    path.write_text(hash_of("new"))
    assert ask(port, "/metrics", f"Bearer {TOKEN}")[0] == 401
    assert ask(port, "/metrics", "Bearer new")[0] == 200
    path.unlink()
    assert ask(port, "/metrics", "Bearer new")[0] == 401


@pytest.mark.parametrize("content", [None, "", "a token itself", "0" * 63, f"{'0' * 64}\nno hash"])
def test_no_hashes_are_one_sentence(registry: CollectorRegistry, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "metrics.sha256"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"metrics\.token_file"):
        serve_metrics(registry, "127.0.0.1", 0, str(path))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org", ""])
def test_other_addresses_need_a_token(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "--set", f"metrics.host={host}"]) != 0
    assert "metrics.token_file" in capfd.readouterr().err
    values = {"metrics.host": host, "metrics.token_file": "x"}
    assert Settings().with_values(values).metrics.host == host


def test_no_token_is_needed_where_nothing_is_served() -> None:
    ports = {f"metrics.{name}_port": -1 for name in ("ingest", "worker", "monitor", "evidence")}
    assert Settings().with_values({"metrics.host": "0.0.0.0", **ports}).metrics.host == "0.0.0.0"
