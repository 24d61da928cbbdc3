"""What ingest, workers and monitor share of Redis: to connect, the RQ queues, and to settle a window exactly once."""

from __future__ import annotations

from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from dfd_core.errors import QueueError, WireError
from dfd_core.queue import keys, records
from dfd_core.settings import RedisSettings
from dfd_core.types import WindowEvent

# What a server raises that is away, starting, full or failing over: worth trying again.
REDIS_AWAY = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError)

# Who takes the window out of the waiting ones, and nobody else, writes its result and removes its pixels.
_SETTLE = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'event', ARGV[3])
redis.call('DEL', KEYS[3])
if ARGV[4] ~= '' then redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5]) end
return 1
"""


def connect(settings: RedisSettings) -> Redis:
    """A client whose server has answered; QueueError, free of credentials, where none does."""
    if not settings.url:
        raise QueueError("No Redis server is named: give --redis redis://HOST:PORT or set DFD_REDIS_URL.")
    try:
        client = Redis.from_url(
            settings.url,
            socket_connect_timeout=settings.connect_timeout_s,
            socket_timeout=max(10.0, settings.connect_timeout_s),
            health_check_interval=30,
            retry=Retry(ConstantBackoff(0.1), 1),
        )
    except ValueError:
        raise QueueError(f"'{redact_redis(settings.url)}' is not a Redis URL: write redis://HOST:PORT/0.") from None
    try:
        client.ping()
    except RedisError as error:
        client.close()
        raise QueueError(
            f"Redis at {redact_redis(settings.url)} does not answer ({type(error).__name__}): "
            "start it, or name another with --redis or DFD_REDIS_URL."
        ) from None
    return client


def redact_redis(url: str) -> str:
    """The URL without user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else "(no scheme)"


def rq_queue(client: Redis, live: bool) -> Queue:
    """The RQ queue of live windows or of files."""
    return Queue(keys.LIVE_QUEUE if live else keys.FILE_QUEUE, connection=client, serializer=JSONSerializer)


def argument_of(job: Job, name: str) -> object:
    """A keyword argument of a job; WireError where the job has none of that name, or is not JSON."""
    try:
        return job.kwargs[name]
    except (DeserializationError, KeyError, TypeError):
        raise WireError(f"A job in Redis does not carry the {name} of dfd.") from None


def settle(pipe: Pipeline, pending: str, event: WindowEvent, features: bytes = b"", ttl_s: float = 0) -> None:
    """Queue on `pipe` the end of a waiting window: its result and features appear, its pixels go, all or nothing.

    `pending` is the window's member in its stream's sorted set. The reply is 1 for the one who settled it, and 0 where
    it was settled before: then nothing happens, so that a window scored twice has one result.
    """
    stream, run, seq = event.stream, event.run, event.result.seq
    pipe.eval(
        _SETTLE,
        4,
        keys.pending_key(stream),
        keys.RESULTS_KEY,
        keys.segment_key(stream, run, seq),
        keys.features_key(stream, run, seq),
        pending,
        keys.RESULTS_CAP,
        records.event_fields(event)["event"],
        features,
        max(1, int(ttl_s * 1000)),
    )
