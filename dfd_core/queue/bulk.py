"""The bulk queue: files that wait for their turn, each scored once, and what became of every one.

A content is known by its SHA-256 and by the model that shall score it, so that a copy under another name, or a second
submission, is not scored again. A file is a row: where it is, what it holds, and the row of the manifest that named it;
each has its own result. RQ has the jobs; hashes of ours have the rest (`dfd_core.queue.keys` names them).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from redis import Redis
from rq import Callback, Queue
from rq.job import Job, JobStatus, Retry
from rq.serializers import JSONSerializer

from dfd_core.names import utf8
from dfd_core.queue import keys, records
from dfd_core.queue.broker import delete_job
from dfd_core.queue.jobs import OwnJob
from dfd_core.queue.submitted import BulkFile, BulkState, Entry, Progress, load_file

REASON = "reason"  # in a job's meta: why its last attempt failed, in one sentence
_JOB_TIMEOUT_S = 86400  # shown by dashboards; what hangs is killed by the supervisor long before
_FAILURE_TTL_S = 30 * 86400
_AT_ONCE = 500  # files a round trip


class BulkQueue:
    """Submits files, tells what became of them, and keeps what workers report."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.queue = Queue(keys.BULK_QUEUE, connection=redis, serializer=JSONSerializer, job_class=OwnJob)

    def submit(self, files: Sequence[BulkFile]) -> int:
        """Queue those whose content the model has neither scored nor waiting; how many that were.

        What failed, got lost or waits for another attempt is queued anew, at its new place; what waits for a content
        that was overwritten since is cancelled.
        """
        self._forget_overwritten(files)
        queued = 0
        for first in range(0, len(files), _AT_ONCE):
            queued += self._submit(files[first : first + _AT_ONCE], {})
        return queued

    def submit_upload(self, file: BulkFile, content: Callable[[], bytes], ttl_s: float) -> int:
        """The same for a file whose content no worker can open: it goes into Redis, where it is still wanted.

        It stays for `ttl_s` seconds at most. redis.exceptions.OutOfMemoryError where Redis has no room.
        """
        key = keys.upload_key(file.id)
        wanted = not self.has_report(file) and not self._redis.pexpire(key, int(ttl_s * 1000))
        return self._submit([file], {key: content()} if wanted else {}, ttl_s)

    def _submit(self, files: Sequence[BulkFile], contents: Mapping[str, bytes], ttl_s: float = 1) -> int:
        states = self.states(list(dict.fromkeys(file.id for file in files)))
        new = {file.id: file for file in files if states.get(file.id) in _AGAIN}
        self._put(new, files, contents, ttl_s)
        return len(new)

    def _put(
        self, new: Mapping[str, BulkFile], rows: Sequence[BulkFile], contents: Mapping[str, bytes], ttl_s: float
    ) -> None:
        """All or nothing: jobs of those `new` (by id) in place of older ones, `rows`, and `contents` by key."""
        for job in OwnJob.fetch_many(list(new), self._redis, JSONSerializer):
            if job is not None:
                delete_job(job)
        with self._redis.pipeline() as pipe:
            for file in new.values():
                self._enqueue(file, pipe)
            for key, content in contents.items():
                pipe.set(key, content, px=int(ttl_s * 1000))
            for file in rows:
                pipe.hset(keys.BULK_FILES_KEY, file.key, records.dumps(asdict(file)))
            pipe.execute()

    def _forget_overwritten(self, files: Sequence[BulkFile]) -> None:
        """Cancel what waits for another content in the places of `files`."""
        now = {(file.place, file.model): file.digest for file in files}
        self.cancel(f for f in self.files() if f.place and now.get((f.place, f.model), f.digest) != f.digest)

    def files(self) -> list[BulkFile]:
        """Every submitted file, in order of submission."""
        stored: list[Any] = self._redis.hvals(keys.BULK_FILES_KEY)
        return sorted(map(load_file, stored), key=lambda f: (f.submitted_at_s, f.path, f.key))

    def file(self, key: str) -> BulkFile | None:
        """The file of that key; None where none was submitted."""
        stored: Any = self._redis.hget(keys.BULK_FILES_KEY, key)
        return None if stored is None else load_file(stored)

    def entries(self, paths: Collection[str] | None = None) -> list[Entry]:
        """Every submitted file, or those that `paths` name as submitted or absolutely, in order of submission."""
        return self.entries_of([f for f in self.files() if paths is None or f.path in paths or f.absolute in paths])

    def entries_of(self, files: Sequence[BulkFile]) -> list[Entry]:
        """What is known of each of `files`, in their order."""
        ids = list(dict.fromkeys(file.id for file in files))
        reports = self._read(keys.BULK_REPORTS_KEY, ids)
        progress = self._read(keys.BULK_PROGRESS_KEY, ids)
        states, reasons = self._states(ids, set(reports))
        return [
            Entry(
                file,
                states[file.id],
                reports.get(file.id),
                records.build(Progress, progress[file.id])
                if states[file.id] is BulkState.RUNNING and file.id in progress
                else None,
                reasons.get(file.id),
            )
            for file in files
        ]

    def pictures(self, files: Iterable[BulkFile]) -> dict[str, list[dict[str, Any]]]:
        """The worst frames of those found fake, by id."""
        ids = list(dict.fromkeys(file.id for file in files))
        return {i: kept["pictures"] for i, kept in self._read(keys.BULK_PICTURES_KEY, ids).items()}

    def states(self, ids: Sequence[str]) -> dict[str, BulkState]:
        """Where each of `ids` is on its way; without those that were never submitted, or cancelled."""
        if not ids:
            return {}
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.smismember(keys.BULK_IDS_KEY, list(ids))
            for i in ids:
                pipe.hexists(keys.BULK_REPORTS_KEY, i)
            known, *reported = pipe.execute()
        done = {i for i, report in zip(ids, reported, strict=True) if report}
        states, _ = self._states(ids, done)
        return {i: states[i] for i, old in zip(ids, known, strict=True) if old or i in done}

    def cancel(self, files: Iterable[BulkFile]) -> int:
        """Forget files that have no report yet; how many. One that is being scored stops at its next frame.

        Its content goes on being wanted while another name that was submitted has the same one.
        """
        going = [file for file in files if not self.has_report(file)]
        if going:
            self._redis.hdel(keys.BULK_FILES_KEY, *(file.key for file in going))
            wanted = {file.id for file in self.files()}
            for file in {file.id: file for file in going if file.id not in wanted}.values():
                self._drop(file)
        return len(going)

    def forget(self, file: BulkFile) -> None:
        """Cancel a file, or forget its report too, unless another name that was submitted has the same content."""
        self._redis.hdel(keys.BULK_FILES_KEY, file.key)
        if file.id not in {other.id for other in self.files()}:
            self._drop(file)
            for key in (keys.BULK_REPORTS_KEY, keys.BULK_PICTURES_KEY, keys.BULK_PROGRESS_KEY):
                self._redis.hdel(key, file.id)

    def retry(self, files: Iterable[BulkFile]) -> int:
        """Queue again what failed or got lost, with all its attempts; how many."""
        again = {file.id: file for file in files}
        self._put(again, [], {}, 1)
        return len(again)

    def is_wanted(self, file: BulkFile) -> bool:
        """Whether the file was not cancelled."""
        return bool(self._redis.sismember(keys.BULK_IDS_KEY, file.id))

    def has_report(self, file: BulkFile) -> bool:
        """Whether it was scored before."""
        return bool(self._redis.hexists(keys.BULK_REPORTS_KEY, file.id))

    def note_progress(self, file: BulkFile, progress: Progress) -> None:
        """Tell how far a worker is."""
        self._redis.hset(keys.BULK_PROGRESS_KEY, file.id, records.dumps(asdict(progress)))

    def end(self, file: BulkFile, report: dict[str, Any] | None, pictures: Sequence[dict[str, Any]] = ()) -> bool:
        """Keep the report of a file (None: there is none); whether it was the first: a file never has two.

        `pictures` lie apart, so that who looks at states does not read them.
        """
        with self._redis.pipeline() as pipe:
            if report is not None:
                pipe.hsetnx(keys.BULK_REPORTS_KEY, file.id, records.dumps(report))
                if pictures:
                    pipe.hsetnx(keys.BULK_PICTURES_KEY, file.id, records.dumps({"pictures": pictures}))
                pipe.delete(keys.upload_key(file.id))
            pipe.hdel(keys.BULK_PROGRESS_KEY, file.id)
            return bool(pipe.execute()[0]) and report is not None

    def counts(self) -> dict[BulkState, int]:
        """How many files are in each state, cheaply: by the sizes of what Redis keeps."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.llen(self.queue.key)
            pipe.zcard(self.queue.started_job_registry.key)
            pipe.zcard(self.queue.scheduled_job_registry.key)
            pipe.zcard(self.queue.failed_job_registry.key)
            pipe.hlen(keys.BULK_REPORTS_KEY)
            sizes = pipe.execute()
        states = (BulkState.WAITING, BulkState.RUNNING, BulkState.RETRYING, BulkState.FAILED, BulkState.DONE)
        return dict(zip(states, sizes, strict=True))

    def _enqueue(self, file: BulkFile, pipe: Any) -> None:
        self.queue.enqueue_call(
            keys.BULK_FUNCTION,
            kwargs={"file": {"v": records.VERSION, **asdict(file)}},
            job_id=file.id,
            description=utf8(file.path),
            timeout=_JOB_TIMEOUT_S,
            result_ttl=0,
            failure_ttl=_FAILURE_TTL_S,
            retry=Retry(max=len(keys.BULK_BACKOFF_S), interval=list(keys.BULK_BACKOFF_S)),
            on_failure=Callback(keys.BULK_FAILURE_FUNCTION),
            pipeline=pipe,
        )
        pipe.sadd(keys.BULK_IDS_KEY, file.id)

    def _drop(self, file: BulkFile) -> None:
        """The last name of a content went: its job goes too."""
        job = self._job(file.id)
        with self._redis.pipeline() as pipe:
            pipe.srem(keys.BULK_IDS_KEY, file.id)
            pipe.delete(keys.upload_key(file.id))
            pipe.execute()
        if job is not None and job.get_status() is not JobStatus.STARTED:
            delete_job(job)

    def _job(self, job_id: str) -> Job | None:
        return OwnJob.fetch_many([job_id], self._redis, JSONSerializer)[0]

    def _read(self, key: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        values: list[Any] = self._redis.hmget(key, list(ids)) if ids else []
        return {i: records.loads(value) for i, value in zip(ids, values, strict=True) if value is not None}

    def _states(self, ids: Sequence[str], done: Collection[str]) -> tuple[dict[str, BulkState], dict[str, str]]:
        states, reasons = dict.fromkeys(done, BulkState.DONE), dict[str, str]()
        open_ids = [i for i in ids if i not in done]
        for first in range(0, len(open_ids), _AT_ONCE):
            part = open_ids[first : first + _AT_ONCE]
            for job_id, job in zip(part, OwnJob.fetch_many(part, self._redis, JSONSerializer), strict=True):
                states[job_id] = (
                    BulkState.LOST if job is None else _STATES.get(job.get_status(False), BulkState.WAITING)
                )
                if job is not None and REASON in job.meta:
                    reasons[job_id] = str(job.meta[REASON])
        return states, reasons


# Submitted again, these are queued anew; None: it was not submitted before.
_AGAIN = (None, BulkState.FAILED, BulkState.LOST, BulkState.RETRYING)
_STATES = {
    JobStatus.STARTED: BulkState.RUNNING,
    JobStatus.SCHEDULED: BulkState.RETRYING,
    JobStatus.FAILED: BulkState.FAILED,
}
