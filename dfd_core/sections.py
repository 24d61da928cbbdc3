"""What a section of the settings is; that of adaptive work, and all that look outward: Redis, API, evidence, sinks."""

from __future__ import annotations

from dataclasses import dataclass

from dfd_core.errors import SettingsError
from dfd_core.names import is_loopback


def require(*rules: tuple[bool, str]) -> None:
    """SettingsError with the sentence of the first rule that does not hold."""
    for holds, sentence in rules:
        if not holds:
            raise SettingsError(f"{sentence}.")


class Section:
    """Values that belong together; their ranges hold in `Settings`, and nobody else is kept from trying others."""

    __slots__ = ()

    def _judge(self) -> None:
        """SettingsError where a value is out of its range."""


@dataclass(frozen=True, slots=True)
class AdaptiveSettings(Section):
    """Live streams whose faces are calm are scored less often; ingest and monitor need the same values."""

    gap_s: float = 0.0  # most seconds from one scored window of a calm stream to the next, and later alarms; 0: off
    calm_s: float = 120.0  # a stream is calm after so long without a doubt
    doubt: float = 0.75  # a doubt begins at this share of the stream's `enter`

    def _judge(self) -> None:
        require(
            (0 <= self.gap_s <= 30, "adaptive.gap_s must be from 0, which is off, to 30"),
            (self.calm_s >= self.gap_s and self.calm_s > 0, "adaptive.calm_s must be above 0, and not below gap_s"),
            (0 < self.doubt <= 1, "adaptive.doubt must be above 0, and 1 at most"),
        )


@dataclass(frozen=True, slots=True)
class WebhookSettings(Section):
    """A web server that is told of each verdict."""

    url: str = ""  # http:// or https://; empty: none
    secret_file: str = ""  # what requests are signed with, 16 characters or more; empty: they are not
    timeout_s: float = 10.0  # of one attempt
    give_up_s: float = 600.0  # after that a verdict is a dead letter
    dead_letters: str = ""  # file that takes these, a JSON object a line

    def _judge(self) -> None:
        require((min(self.timeout_s, self.give_up_s) > 0, "webhook.timeout_s and give_up_s must be above 0"))


@dataclass(frozen=True, slots=True)
class MqttSettings(Section):
    """A broker that is told of each verdict, and of each stream whether one of its faces counts as fake."""

    url: str = ""  # mqtt://[user:password@]host[:1883] or mqtts://; empty: none
    ca_file: str = ""  # PEM of who may sign the broker's certificate, for mqtts://; empty: whom the system trusts
    topic: str = "dfd"  # what all topics begin with
    discovery: str = "homeassistant"  # prefix of Home Assistant's discovery; empty: none

    def _judge(self) -> None:
        require((bool(self.topic), "mqtt.topic must not be empty"))


@dataclass(frozen=True, slots=True)
class EvidenceSettings(Section):
    """What is kept of each alarm: `dfd evidence`."""

    folder: str = ""  # where, or a URL as s3://bucket/prefix (dfd[s3]); empty: nothing is kept
    windows: int = 3  # of an alarm, the worst ones, whose crops are kept
    from_probability: float = 0.5  # of a window whose pixels are kept for the case of an alarm
    redis_bytes: int = 64_000_000  # that such pixels may take in Redis meanwhile
    max_bytes: int = 2_000_000_000  # in the folder; the oldest alarms make room
    max_days: float = 30.0  # older alarms are deleted

    def _judge(self) -> None:
        require(
            (self.windows >= 1, "evidence.windows must be at least 1"),
            (0 <= self.from_probability <= 1, "evidence.from_probability must be from 0 to 1"),
            (min(self.redis_bytes, self.max_bytes) > 0, "evidence.redis_bytes and max_bytes must be above 0"),
            (self.max_days > 0, "evidence.max_days must be above 0"),
        )


@dataclass(frozen=True, slots=True)
class ServeSettings(Section):
    """The HTTP API and the console, `dfd serve`."""

    console: str = "on"  # or off: pages for people at /, beside the API
    host: str = "127.0.0.1"  # any address but loopback needs serve.tokens
    port: int = 8470  # 0 takes a free one
    tokens: str = ""  # file of hashes, a line a token: dfd serve --new-token ROLE makes one
    names: str = ""  # host names, separated by commas, by which a proxy may ask for a server without tokens
    body_bytes: int = 64_000_000  # largest body of a request; bulk.upload_bytes bounds files too
    requests_per_minute: int = 1200  # of one token or address; more are told to wait
    event_clients: int = 100  # that listen to /v1/events at once
    score_processes: int = 1  # that answer /v1/score, each with a model of its own, started when first asked
    score_seconds: float = 10.0  # of a clip's media time that /v1/score looks at
    score_timeout_s: float = 60.0  # a file that takes longer is given up, and its process replaced

    def _judge(self) -> None:
        counts = self.body_bytes, self.requests_per_minute, self.event_clients, self.score_processes
        require(
            (self.console in ("on", "off"), "serve.console must be on or off"),
            (-1 < self.port <= 65535, "serve.port must be between 0 and 65535"),
            (min(counts) >= 1, "limits of [serve] must be at least 1"),
            (min(self.score_seconds, self.score_timeout_s) > 0, "times of [serve] must be above 0"),
        )


@dataclass(frozen=True, slots=True)
class ConsoleSettings(Section):
    """What `dfd ingest` shows people beyond faces."""

    scene: str = "off"  # or on: a small picture of all that a source sees, while somebody looks at the console

    def _judge(self) -> None:
        require((self.scene in ("on", "off"), "console.scene must be on or off"))


@dataclass(frozen=True, slots=True)
class MetricsSettings(Section):
    """Where /metrics is served; port 0 takes a free one, -1 serves none."""

    host: str = "127.0.0.1"  # others need metrics.token_file
    token_file: str = ""  # lines are the SHA-256 of a token that is to be sent each; empty: none is, on loopback only
    ingest_port: int = 9461
    worker_port: int = 9462
    monitor_port: int = 9460
    evidence_port: int = 9459
    forget_s: float = 600.0  # so long after its end, or its removal, the monitor serves a stream's series no more

    def _judge(self) -> None:
        ports = self.ingest_port, self.worker_port, self.monitor_port, self.evidence_port
        inside = max(ports) < 0 or is_loopback(self.host)
        require(
            (
                inside or bool(self.token_file),
                "metrics.host lets others reach /metrics: name a file with the hash of a token in metrics.token_file "
                "(docs/deploy.md), or leave it at 127.0.0.1",
            ),
            (all(-1 <= port <= 65535 for port in ports), "metrics ports must be between -1 and 65535"),
            (self.forget_s >= 0, "metrics.forget_s must not be below 0"),
        )


@dataclass(frozen=True, slots=True, repr=False)  # the URL holds a password
class RedisSettings(Section):
    """Where the queue lives."""

    url: str = ""  # redis://[user:password@]host:port/db; empty: watch starts an embedded server
    connect_timeout_s: float = 5.0

    def _judge(self) -> None:
        require((self.connect_timeout_s > 0, "redis.connect_timeout_s must be above 0"))


@dataclass(frozen=True, slots=True)
class LogSettings(Section):
    """How processes tell what happens."""

    format: str = "auto"  # human, json or auto: human on a terminal, else JSON
    traces: str = ""  # URL of an OTLP/HTTP collector, as http://collector:4318/v1/traces; empty: no traces

    def _judge(self) -> None:
        require((self.format in ("human", "json", "auto"), "log.format must be human, json or auto"))


@dataclass(frozen=True, slots=True)
class BulkSettings(Section):
    """Which files the bulk queue takes."""

    roots: str = ""  # folders that submitters and workers share, separated by ':'; empty: any path
    upload_bytes: int = 64_000_000  # largest file that goes through Redis
    upload_ttl_s: float = 86400.0  # its content is gone after this

    def _judge(self) -> None:
        require(
            (self.upload_bytes > 0, "bulk.upload_bytes must be above 0"),
            (self.upload_ttl_s >= 1e-3, "bulk.upload_ttl_s: a millisecond at least"),
        )
