"""What ingest, workers and monitor share of Redis: the connection, RQ's queues, and to settle a window once."""

from __future__ import annotations

from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.connection import REDIS_AWAY, connect, open_client, patiently, redact_redis, sentence, told, trouble
from dfd_core.queue.jobs import OwnJob, check_function
from dfd_core.types import WindowEvent

__all__ = [
    "REDIS_AWAY",
    "argument_of",
    "connect",
    "delete_job",
    "open_client",
    "patiently",
    "redact_redis",
    "rq_queue",
    "sentence",
    "settle",
    "told",
    "trouble",
]

# Who takes the window out of the waiting ones, and nobody else, writes its result and removes its pixels; those of a
# suspicious window stay a while, within bounds, where somebody keeps evidence, and the newest of each stream while
# somebody looks (dfd_core/queue/kept.py).
_SETTLE = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'event', ARGV[3])
if redis.call('EXISTS', KEYS[7]) == 1 and redis.call('COPY', KEYS[3], KEYS[8], 'REPLACE') == 1 then
  redis.call('PEXPIRE', KEYS[8], 30000)
end
local wish = ARGV[6] ~= '' and redis.call('GET', KEYS[5])
local least, bytes, ms = string.match(wish or '', '^(%S+) (%S+) (%S+)$')
if least and tonumber(ARGV[6]) >= tonumber(least) then
  redis.call('PEXPIRE', KEYS[3], ms)
  redis.call('LPUSH', KEYS[6], KEYS[3])
  redis.call('PEXPIRE', KEYS[6], ms)
  local room = tonumber(bytes)
  for place, key in ipairs(redis.call('LRANGE', KEYS[6], 0, -1)) do
    room = room - redis.call('STRLEN', key)
    if room < 0 or place > 500 then
      redis.call('DEL', key)
      redis.call('LREM', KEYS[6], -1, key)
    end
  end
else
  redis.call('DEL', KEYS[3])
end
if ARGV[4] ~= '' then redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5]) end
return 1
"""


def rq_queue(client: Redis, live: bool) -> Queue:
    """The RQ queue of live windows or of files."""
    return Queue(
        keys.LIVE_QUEUE if live else keys.FILE_QUEUE, connection=client, serializer=JSONSerializer, job_class=OwnJob
    )


def argument_of(job: Job, name: str) -> object:
    """A keyword argument of a job; WireError where the job has none of that name, or is none of dfd's."""
    check_function(job)
    try:
        return job.kwargs[name]
    except (DeserializationError, KeyError, TypeError):
        raise WireError(f"A job in Redis does not carry the {name} of dfd.") from None


def delete_job(job: Job, *, remove_from_queue: bool = True) -> None:
    """Delete it with its traces, also of a worker that died over it or is just done with it: RQ would stumble there."""
    job.connection.delete(job.execution_registry.key)
    job.delete(remove_from_queue=remove_from_queue)


def settle(pipe: Pipeline, pending: str, event: WindowEvent, features: bytes = b"", ttl_s: float = 0) -> None:
    """Queue on `pipe` the end of a waiting window: its result and features appear, its pixels go, all or nothing.

    `pending` is the window's member in its stream's sorted set. The reply is 1 for the one who settled it, and 0 where
    it was settled before: then nothing happens, so that a window scored twice has one result.
    """
    stream, run, seq = event.stream, event.run, event.result.seq
    worst = max((s.fake_probability for s in event.result.scores if s.fake_probability is not None), default="")
    pipe.eval(
        _SETTLE,
        8,
        keys.pending_key(stream),
        keys.RESULTS_KEY,
        keys.segment_key(stream, run, seq),
        keys.features_key(stream, run, seq),
        keys.EVIDENCE_KEY,
        keys.EVIDENCE_KEPT_KEY,
        keys.WATCHED_KEY,
        keys.latest_key(stream),
        pending,
        keys.RESULTS_CAP,
        records.event_fields(event)["event"],
        features,
        max(1, int(ttl_s * 1000)),
        worst,
    )
