"""To reach Redis: what its URL may hold, who is refused with which sentence, and what is waited for.

A server that is away (killed, starting, frozen) or that takes nothing just now (full, failing over, its disk full, its
password changed) is worth trying again: an operator will set it right. `REDIS_AWAY` is the one list of that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.connection import DefaultParser
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ExecAbortError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from dfd_core.errors import QueueError
from dfd_core.process.backoff import Backoff
from dfd_core.queue import keys
from dfd_core.sections import RedisSettings

READ_TIMEOUT_S = 10.0  # a server that is silent for so long counts as away
OLDEST = (6, 2)  # of Redis: BLMOVE
LONGEST_PAUSE_S = 5.0  # between two attempts
_T = TypeVar("_T")
_PROBE_MS = 10_000
_OPTIONS = re.compile(
    r"(db|username|password|client_name|protocol|health_check_interval|socket_(connect_)?timeout|socket_keepalive"
    r"|ssl_(ca_certs|ca_path|ca_data|certfile|keyfile|cert_reqs|check_hostname))\Z"
)


class RefusedForNowError(ResponseError):
    """A server that cannot write or answer just now: MISCONF, NOREPLICAS, BUSY, and UNBLOCKED by a failover."""


# redis-py gives these no class of their own; tests/test_connection.py fails where it no longer looks here.
for _code in ("MISCONF", "NOREPLICAS", "BUSY", "UNBLOCKED"):
    DefaultParser.EXCEPTION_CLASSES[_code] = RefusedForNowError

REDIS_AWAY = (
    RedisConnectionError,  # with AuthenticationError and BusyLoadingError
    RedisTimeoutError,
    RefusedForNowError,
    OutOfMemoryError,
    ReadOnlyError,
    NoPermissionError,
    ExecAbortError,
    TryAgainError,
    MasterDownError,
)


def connect(settings: RedisSettings, silent_s: float = 0.0) -> Redis:
    """A client whose server has taken a probe and given it back; QueueError, free of credentials, where none does.

    `silent_s`: a server that is silent for so long counts as away (default: READ_TIMEOUT_S).
    """
    client, shown = open_client(settings, silent_s), redact_redis(settings.url)
    try:
        _greet(client, shown)
        key, value = keys.probe_key(uuid4().hex), uuid4().hex
        client.set(key, value, px=_PROBE_MS)
        if client.get(key) != value.encode():
            raise QueueError(f"Redis at {shown} gives back another value than it was given: see to the server.")
        client.delete(key)
    except RedisError as error:
        client.close()
        raise QueueError(sentence(error, shown)) from None
    except QueueError:
        client.close()
        raise
    return client


def open_client(settings: RedisSettings, silent_s: float = 0.0) -> Redis:
    """A client that has not asked its server anything yet; QueueError for a URL that cannot be one."""
    return _client(settings, Redis.from_url, Retry(ConstantBackoff(0.1), 1), silent_s)


def open_async_client(settings: RedisSettings) -> AsyncRedis:
    """The same for a loop of asyncio."""
    return _client(settings, AsyncRedis.from_url, AsyncRetry(ConstantBackoff(0.1), 1))


def _client(settings: RedisSettings, from_url: Callable[..., _T], retry: object, silent_s: float = 0.0) -> _T:
    if not settings.url:
        raise QueueError("No Redis server is named: give --redis redis://HOST:PORT or set DFD_REDIS_URL.")
    shown, url = redact_redis(settings.url), _quoted(settings.url)
    for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if not _OPTIONS.match(name):
            hint = "" if len(name) > 40 or not name.isidentifier() else f" '{name}'"
            raise QueueError(
                f"The URL of Redis at {shown} has an option{hint} that dfd cannot work with: leave it out."
            )
    try:
        return from_url(
            url,
            socket_connect_timeout=settings.connect_timeout_s,
            socket_timeout=silent_s or max(READ_TIMEOUT_S, settings.connect_timeout_s),
            health_check_interval=30,
            retry=retry,
        )
    except (ValueError, TypeError):
        raise QueueError(f"'{shown}' is not a Redis URL: write redis://HOST:PORT/0.") from None


def sentence(error: RedisError, shown: str) -> str:
    """What is wrong with the server at `shown`, and what to do."""
    if isinstance(error, AuthenticationError):
        return (
            f"Redis at {shown} refuses the user or the password: give those that it knows, as in "
            "redis://USER:PASSWORD@HOST:PORT/0, or set DFD_REDIS_URL."
        )
    text = str(error)
    if "DB index" in text or "Invalid Database" in text:
        return f"Redis at {shown} has no database of that number: name another one, as in redis://HOST:PORT/0."
    if isinstance(error, ReadOnlyError):
        return f"Redis at {shown} is a replica that takes nothing: name its primary with --redis or DFD_REDIS_URL."
    if isinstance(error, NoPermissionError):
        return f"Redis at {shown} does not permit its user what dfd needs ({text}): give it more with ACL SETUSER."
    if isinstance(error, ResponseError):
        return f"Redis at {shown} answers and takes nothing ({text.rstrip('.')}): see to the server."
    return _unreached(error, shown)


def _busy_with(error: RedisError) -> tuple[str, str] | None:
    """What a server does that answers and hangs up, though redis-py takes it for absent, and what helps."""
    if isinstance(error, BusyLoadingError):
        return "loads its data", "try again when it has"
    if "max number of clients" in str(error):
        return "lets no more clients in", "raise its maxclients, or end some"
    return None


def _unreached(error: RedisError, shown: str) -> str:
    """The same of a server with which no word was changed, or one that let it be."""
    if busy := _busy_with(error):
        return f"Redis at {shown} {busy[0]}: {busy[1]}."
    away = f"does not answer ({type(error).__name__}): start it, or name another with --redis or DFD_REDIS_URL"
    if not shown.startswith("rediss://"):
        return f"Redis at {shown} {away}."
    if distrust := re.search(r"certificate verify failed: (.+?)\.? \(_ssl", str(error)):
        return (
            f"Redis at {shown} shows a certificate that is not trusted ({distrust[1]}): name the file of its authority "
            "by ?ssl_ca_certs=FILE at the end of the URL, and the host as the certificate does."
        )
    if "No such file" in str(error):
        return f"Redis at {shown} was not asked: a file that the URL names by an option ssl_... is not there."
    return (
        f"Redis at {shown} {away}; where it speaks no TLS, write redis://; where it asks for a certificate, add "
        "?ssl_certfile=FILE&ssl_keyfile=FILE."
    )


@contextmanager
def told(settings: RedisSettings) -> Iterator[None]:
    """Turn what Redis raises within into QueueError with one sentence."""
    try:
        yield
    except RedisError as error:
        raise QueueError(sentence(error, redact_redis(settings.url))) from None


def patiently(
    act: Callable[[], _T], patience_s: float, wait: Callable[[float], object], report: Callable[[str], None]
) -> _T:
    """What `act` gives, tried again while Redis is away; after `patience_s` what Redis raised is raised.

    `wait` is called with each pause in seconds, `report` with a sentence before the first.
    """
    since_s, pauses, said = time.monotonic(), Backoff(0.1, LONGEST_PAUSE_S), False
    while True:
        try:
            return act()
        except REDIS_AWAY as error:
            if time.monotonic() - since_s >= patience_s:
                raise
            if not said:
                report(f"Redis {trouble(error)}; trying again for {patience_s:.0f} s.")
            said = True
        wait(pauses.next_s())


def trouble(error: RedisError) -> str:
    """What a server does that is away, as the rest of a sentence about it."""
    if isinstance(error, AuthenticationError):
        return "refuses our password"
    if busy := _busy_with(error):
        return busy[0]
    return f"takes nothing ({str(error).rstrip('.')})" if isinstance(error, ResponseError) else "does not answer"


def redact_redis(url: str) -> str:
    """The URL as scheme://host:port/db, or as much of that as can be told from a password for certain."""
    scheme, slashes, rest = url.partition("://")
    if not slashes or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return "(no scheme)"
    if re.search(r"[?&](username|password)=[^&]*@", rest):
        return f"{scheme}://(hidden)"
    place = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    if scheme == "unix" and place.startswith("/"):
        return f"{scheme}://{place}"
    return f"{scheme}://" + (
        place if re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/\d{0,5})?", place) else "(hidden)"
    )


def _quoted(url: str) -> str:
    """The URL with each character of user and password quoted that would end them; what is quoted already stays."""
    scheme, slashes, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    if not at or re.search(r"[?&](username|password)=", user):
        return url
    return f"{scheme}{slashes}{quote(user, safe=':%')}{at}{place}"


def _greet(client: Redis, shown: str) -> None:
    """QueueError where the server is of a kind that dfd cannot work with."""
    try:
        reply: Any = client.execute_command("HELLO")  # type: ignore[no-untyped-call]
    except ResponseError as error:
        if isinstance(error, REDIS_AWAY) or "unknown command" not in str(error):
            raise
        raise QueueError(f"Redis at {shown} is older than {_version(OLDEST)}: dfd needs a newer one.") from None
    said = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    mode, version = said.get(b"mode", b"").decode(), said.get(b"version", b"").decode()
    if mode == "cluster":
        raise QueueError(
            f"Redis at {shown} is a node of a cluster, and dfd's keys belong together: name a server alone."
        )
    if mode == "sentinel":
        raise QueueError(f"Redis at {shown} is a sentinel: name the server that it watches over.")
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers and numbers < OLDEST:
        raise QueueError(f"Redis at {shown} is version {version}: dfd needs {_version(OLDEST)} or a newer one.")


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
