"""The names of everything that dfd keeps in Redis, and how large each may grow.

    dfd:segment:{stream}:{run}:{seq}    pixels of one segment; TTL; gone as soon as its window is scored
    dfd:features:{stream}:{run}:{seq}   what the checks measured in one segment; TTL; older segments of later windows
    dfd:pending:{stream}                sorted set of the windows that wait: `{run}:{seq}:{bytes}` by Unix time
    dfd:streams                         hash: stream -> JSON of StreamStatus, renewed each second by ingest
    dfd:wanted                          hash: stream -> JSON of StreamSpec: what is to be read (`streams.py`)
    dfd:orders                          hash: stream -> JSON: paused or removed, by `dfd streams`
    dfd:owner:{stream}                  TTL; which ingest reads a stream of this name
    dfd:calm:{stream}                   JSON of CalmNote: its windows need not all be scored; TTL; by the monitor
    dfd:model                           JSON of ModelInfo, written by each worker that starts
    dfd:results                         capped stream of JSON events: WindowEvent and EndEvent
    dfd:verdicts                        capped stream of JSON verdicts
    dfd:monitor                         hash: where the monitor goes on after a restart (its own business)
    dfd:lease:monitor                   who is the monitor; TTL
    dfd:probe:{random}                  what `connect` writes and reads back; TTL
    dfd:poison                          sorted set: windows that were set aside, by Unix time; newest 20
    dfd:poison:{stream}-{run}-{seq}     hash of one: header, reason, bytes of its segments; TTL
    dfd:poison:count                    how many there ever were
    dfd:boards                          hash: stream -> JSON of StreamBoard, renewed twice a second by the monitor
    dfd:alarms                          sorted set: the ids of the newest alarms by the Unix time at which they began
    dfd:alarms:open                     hash: `{stream}/{run}/{track}` -> id of the alarm that lasts
    dfd:alarms:news                     capped stream: an alarm opened, ended or was reviewed
    dfd:alarm:{id}                      hash of an alarm: what the monitor, who listens along, and reviewers say of it
    dfd:alarm:{id}:windows              list of JSON: the windows of its face before and while it lasted
    dfd:evidence                        what a keeper of evidence asks for: see kept.py; TTL, renewed each second
    dfd:evidence:kept                   list: segments whose pixels wait for it, newest first
    dfd:watched                         there while somebody looks at the console; TTL
    dfd:latest:{stream}                 pixels of its newest segment that was scored meanwhile; TTL
    dfd-live, dfd-file                  the RQ queues; jobs carry a WindowHeader as JSON
    dfd-bulk                            the RQ queue of whole files; jobs carry a BulkFile as JSON
    dfd:bulk:ids                        set: the ids of all files that were submitted and not cancelled
    dfd:bulk:files                      hash: key of a file, content and manifest row -> JSON of BulkFile
    dfd:bulk:reports                    hash: id -> JSON report; one a file, whoever comes first
    dfd:bulk:pictures                   hash: id -> JSON, worst frames of a file that was found fake
    dfd:bulk:progress                   hash: id -> JSON of Progress, while a worker is at it
    dfd:bulk:upload:{id}                content of a file that no worker can open; TTL; gone with its report

`run` is a short random id of one start of one source: `seq` counts from 0 in it.
"""

from __future__ import annotations

STREAMS_KEY = "dfd:streams"
WANTED_KEY = "dfd:wanted"
ORDERS_KEY = "dfd:orders"
MODEL_KEY = "dfd:model"
RESULTS_KEY = "dfd:results"
VERDICTS_KEY = "dfd:verdicts"
MONITOR_KEY = "dfd:monitor"
POISON_KEY = "dfd:poison"
POISON_COUNT_KEY = "dfd:poison:count"
MONITOR_LEASE_KEY = "dfd:lease:monitor"
BOARDS_KEY = "dfd:boards"
ALARMS_KEY = "dfd:alarms"
ALARMS_OPEN_KEY = "dfd:alarms:open"
ALARM_NEWS_KEY = "dfd:alarms:news"
WATCHED_KEY = "dfd:watched"
EVIDENCE_KEY = "dfd:evidence"
EVIDENCE_KEPT_KEY = "dfd:evidence:kept"
ALARMS_CAP = 2_000  # alarms that are remembered
ALARM_NEWS_CAP = 10_000
ALARM_WINDOWS_CAP = 600  # of one alarm; about 100 kB
RESULTS_CAP = 20_000  # entries; about 10 MB
VERDICTS_CAP = 10_000
LIVE_QUEUE = "dfd-live"
FILE_QUEUE = "dfd-file"
JOB_FUNCTION = "workers.windows.jobs.score_window"
FAILURE_FUNCTION = "workers.windows.jobs.window_failed"
BULK_QUEUE = "dfd-bulk"
BULK_FUNCTION = "workers.bulk.jobs.scan"
BULK_FAILURE_FUNCTION = "workers.bulk.jobs.scan_failed"
BULK_IDS_KEY = "dfd:bulk:ids"
BULK_FILES_KEY = "dfd:bulk:files"
BULK_REPORTS_KEY = "dfd:bulk:reports"
BULK_PICTURES_KEY = "dfd:bulk:pictures"
BULK_PROGRESS_KEY = "dfd:bulk:progress"
BULK_BACKOFF_S = (5, 30, 120)  # before each further attempt at a file
RETRIES = 1  # of a window whose worker died or whose scoring raised: then it is set aside


def segment_key(stream: str, run: str, seq: int) -> str:
    """Key of a segment's pixels."""
    return f"dfd:segment:{stream}:{run}:{seq}"


def features_key(stream: str, run: str, seq: int) -> str:
    """Key of a segment's features."""
    return f"dfd:features:{stream}:{run}:{seq}"


def pending_key(stream: str) -> str:
    """Key of the sorted set of windows that wait for a worker."""
    return f"dfd:pending:{stream}"


def owner_key(stream: str) -> str:
    """Key of the claim on a stream that was added."""
    return f"dfd:owner:{stream}"


def calm_key(stream: str) -> str:
    """Key of what the monitor says of a stream that is calm."""
    return f"dfd:calm:{stream}"


def latest_key(stream: str) -> str:
    """Key of the newest pixels of a stream that somebody looks at."""
    return f"dfd:latest:{stream}"


def scene_key(stream: str) -> str:
    """Key of a small picture of what a stream sees, where that is shown."""
    return f"dfd:scene:{stream}"


def job_id(stream: str, run: str, seq: int) -> str:
    """RQ job id of a window: letters, digits, '-' and '_' only."""
    return f"{stream}-{run}-{seq}"


def poison_key(name: str) -> str:
    """Key of a window that was set aside; `name` is that of its job."""
    return f"dfd:poison:{name}"


def probe_key(nonce: str) -> str:
    """Key of a value that is written and read to see whether the server works."""
    return f"dfd:probe:{nonce}"


def upload_key(bulk_id: str) -> str:
    """Key of an uploaded file's content, by the id that content and model give it."""
    return f"dfd:bulk:upload:{bulk_id}"


def alarm_key(alarm_id: str) -> str:
    """Key of an alarm's hash."""
    return f"dfd:alarm:{alarm_id}"


def alarm_windows_key(alarm_id: str) -> str:
    """Key of an alarm's windows."""
    return f"dfd:alarm:{alarm_id}:windows"
