"""`rediss://` against a real server with certificates of its own: who is trusted, who is refused, and what is said."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dfd_core.errors import QueueError
from dfd_core.queue.broker import connect
from dfd_core.queue.connection import open_async_client
from dfd_core.settings import RedisSettings
from tests.fixtures_redis import free_port


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certificate(folder: Path, name: str, names: str) -> None:
    """`name`.pem and `name`.key, for the hosts in `names`, signed by the authority in ca.pem."""
    (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    signed = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", 2]
    openssl("x509", "-req", "-in", request, *signed, "-extfile", folder / f"{name}.ext", "-out", folder / f"{name}.pem")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an authority, ca.pem, and what it signed: of this host, `here`, of another, `away`, and of a client."""
    if not shutil.which("redis-server") or not shutil.which("openssl"):
        pytest.skip("needs a redis-server with TLS, and openssl: apt-get install redis-server openssl")
    folder = tmp_path_factory.mktemp("papers")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=authority",
            "-keyout", folder / "ca.key", "-out", folder / "ca.pem")  # fmt: skip
    for name, names in (("here", "IP:127.0.0.1,DNS:localhost"), ("away", "DNS:away.example"), ("client", "DNS:client")):
        certificate(folder, name, names)
    return folder


@contextmanager
def server(papers: Path, *, name: str = "here", clients: str = "no") -> Iterator[int]:
    """The port of a server with that certificate, which speaks TLS only."""
    port, ca = free_port(), papers / "ca.pem"
    words = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", papers / f"{name}.pem", "--save", "",
             "--tls-key-file", papers / f"{name}.key", "--tls-ca-cert-file", ca, "--tls-auth-clients", clients,
             "--requirepass", "of a test"]  # fmt: skip
    with subprocess.Popen(["redis-server", *map(str, words)], stdout=subprocess.PIPE, text=True, cwd=papers) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:  # it ends where the server does
            said.append(line)
            if "Ready to accept connections" in line:
                break
        else:
            pytest.skip(f"needs a redis-server with TLS: {''.join(said)[-300:]}")
        try:
            yield port
        finally:
            process.terminate()


def settings(port: int, options: str = "", scheme: str = "rediss") -> RedisSettings:
    return RedisSettings(url=f"{scheme}://:of%20a%20test@127.0.0.1:{port}/0{options}", connect_timeout_s=5)


def test_a_server_of_a_known_authority_is_reached(papers: Path) -> None:
    async def kept(known: RedisSettings) -> object:
        async with open_async_client(known) as client:
            return await client.get("dfd:model")

    with server(papers) as port:
        known = settings(port, f"?ssl_ca_certs={papers / 'ca.pem'}")
        with connect(known) as client:
            client.set("dfd:model", "x")
        assert asyncio.run(kept(known)) == b"x"
        with pytest.raises(QueueError, match="refuses the user or the password"):
            connect(RedisSettings(url=known.url.replace("of%20a", "of%20another")))


def test_a_server_that_cannot_be_trusted_is_told(papers: Path) -> None:
    known = f"?ssl_ca_certs={papers / 'ca.pem'}"
    with server(papers) as port:
        with pytest.raises(QueueError, match=f"^Redis at rediss://127.0.0.1:{port}/0 .*certificate.*ssl_ca_certs"):
            connect(settings(port))
        with pytest.raises(QueueError, match=f"^Redis at redis://127.0.0.1:{port}/0 does not answer"):
            connect(settings(port, scheme="redis"))
        with pytest.raises(QueueError, match="a file that the URL names by an option"):
            connect(settings(port, f"?ssl_ca_certs={papers / 'none.pem'}"))
    with server(papers, name="away") as port, pytest.raises(QueueError, match=r"mismatch.*name .* the host"):
        connect(settings(port, known))


def test_a_server_that_speaks_no_tls_is_told(redis_url: str) -> None:
    with pytest.raises(QueueError, match="where it speaks no TLS, write redis://"):
        connect(RedisSettings(url=redis_url.replace("redis://", "rediss://")), silent_s=0.5)


def test_a_server_may_ask_for_a_certificate_of_its_clients(papers: Path) -> None:
    own = f"&ssl_certfile={papers / 'client.pem'}&ssl_keyfile={papers / 'client.key'}"
    with server(papers, clients="yes") as port:
        known = f"?ssl_ca_certs={papers / 'ca.pem'}"
        with connect(settings(port, known + own)) as client:
            assert client.ping()
        with pytest.raises(QueueError, match=f"^Redis at rediss://127.0.0.1:{port}/0 .*ssl_certfile"):
            connect(settings(port, known))
