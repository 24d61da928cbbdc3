"""MQTT: a topic a stream that is ON while one of its faces counts as fake, as Home Assistant's binary sensors have it.

{topic}/status                  online or offline, retained: offline is the last will, which the broker tells
{topic}/{stream}/fake           ON or OFF, retained
{topic}/{stream}/verdict        each notice as JSON, retained
{discovery}/binary_sensor/dfd_{stream}/config    what Home Assistant needs to know, retained
"""

from __future__ import annotations

import json
import logging
import ssl
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from dfd_core import __version__
from dfd_core.types import State
from workers.monitor.notices import Notice
from workers.monitor.relay import UndeliveredError

Face = tuple[str, str, int]  # stream, run, track
WAITING = 1000  # messages that wait for the broker
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_ON, _OFF = "ON", "OFF"

log = logging.getLogger(__name__)


class Mqtt:
    """Tells one broker, and waits for it however long it is away."""

    name = "mqtt"

    def __init__(
        self, url: str, topic: str, discovery: str, lasting: Iterable[Face] = (), *, ca_file: str = ""
    ) -> None:
        """`lasting` are the faces whose alarms go on; `discovery` is Home Assistant's prefix, empty: none.

        `ca_file` has who may sign the certificate of a broker at mqtts://; empty: whom the system trusts.
        """
        self._topic, self._discovery = topic, discovery
        self._fake = set(lasting)
        self._streams = {stream for stream, _, _ in self._fake}
        self._lock = threading.Lock()
        self._client = _client(url, ca_file)
        self._client.will_set(f"{topic}/status", "offline", qos=1, retain=True)
        self._client.on_connect, self._client.on_connect_fail = self._greet, self._absent
        self._complained = False
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "mqtts"
        self._client.connect_async(self._host, parts.port or DEFAULT_PORTS[parts.scheme])
        self._client.loop_start()

    def deliver(self, notice: Notice, over: threading.Event) -> None:
        """Queue its messages; UndeliveredError where too many wait for the broker."""
        verdict = notice.verdict
        with self._lock:
            if verdict.stream not in self._streams:
                self._streams.add(verdict.stream)
                self._introduce(verdict.stream)
            if notice.final:
                self._fake = {face for face in self._fake if face[:2] != (verdict.stream, notice.run)}
            else:
                face = verdict.stream, notice.run, verdict.track
                (self._fake.add if verdict.state is State.FAKE else self._fake.discard)(face)
            self._report(verdict.stream)
            self._publish(f"{self._topic}/{verdict.stream}/verdict", notice.json())

    def close(self) -> None:
        """Say that nobody tells any more, and part."""
        with suppress(RuntimeError, ValueError):  # where it is away, its last will says so
            self._client.publish(f"{self._topic}/status", "offline", qos=1, retain=True).wait_for_publish(1.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _greet(self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        """A broker that forgot everything, or was away, is told anew; called by paho's thread."""
        if reason.is_failure:
            self._complain(f"refuses: {reason}")
            return
        self._complained = False
        with self._lock, suppress(UndeliveredError):
            self._client.publish(f"{self._topic}/status", "online", qos=1, retain=True)
            for stream in self._streams:
                self._introduce(stream)
                self._report(stream)

    def _absent(self, client: Any, userdata: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it caught it
        if isinstance(error, ssl.SSLCertVerificationError):
            self._complain(f"has a certificate that is not trusted ({error.verify_message}; see mqtt.ca_file)")
        elif self._tls and isinstance(error, ssl.SSLError | ConnectionResetError):
            self._complain("hangs up, as one does that speaks no TLS at this port (mqtts://)")
        else:
            self._complain("does not answer")

    def _complain(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            log.warning("The broker at %s %s; trying again. Verdicts go on.", self._host, what)

    def _report(self, stream: str) -> None:
        on = any(face[0] == stream for face in self._fake)
        self._publish(f"{self._topic}/{stream}/fake", _ON if on else _OFF)

    def _introduce(self, stream: str) -> None:
        if not self._discovery:
            return
        config = {
            "name": "Fake face",
            "unique_id": f"dfd_{stream}_fake",
            "state_topic": f"{self._topic}/{stream}/fake",
            "json_attributes_topic": f"{self._topic}/{stream}/verdict",
            "availability_topic": f"{self._topic}/status",
            "payload_on": _ON,
            "payload_off": _OFF,
            "device_class": "problem",
            "device": {"identifiers": [f"dfd_{stream}"], "name": f"dfd {stream}", "sw_version": __version__},
            "origin": {"name": "dfd", "sw_version": __version__},
        }
        self._publish(f"{self._discovery}/binary_sensor/dfd_{stream}/config", json.dumps(config))

    def _publish(self, topic: str, payload: str) -> None:
        said = self._client.publish(topic, payload, qos=1, retain=True)
        if said.rc == paho.MQTT_ERR_QUEUE_SIZE:
            raise UndeliveredError("the broker is away, and too many messages wait for it")


def _client(url: str, ca_file: str) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.max_queued_messages_set(WAITING)
    client.reconnect_delay_set(1, 30)
    parts = urlsplit(url)
    if parts.username:
        client.username_pw_set(unquote(parts.username), None if parts.password is None else unquote(parts.password))
    if parts.scheme == "mqtts":
        client.tls_set(ca_file or None)
    return client
