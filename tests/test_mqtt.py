"""MQTT: a real broker is told what Home Assistant needs; one that is away delays nothing."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import jsonschema
import paho.mqtt.client as paho
import pytest

from dfd_core.errors import SettingsError
from dfd_core.settings import Settings
from dfd_core.types import State
from tests.fixtures_monitor import wait_for
from tests.fixtures_redis import free_port
from tests.test_outside import notice
from tests.test_tls import certificate, openssl
from workers.monitor.mqtt import Mqtt
from workers.monitor.outside import check_outside, open_outside
from workers.monitor.relay import Relay


class Broker:
    """Debian's mosquitto, and somebody who listens to all topics and remembers what was retained."""

    def __init__(self, folder: Path, port: int, papers: Path | None = None, *, whoever: bool = False) -> None:
        """With TLS only, by the certificate `here` of `papers`, where these are given; `whoever`: lets everybody in."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            pytest.skip("no mosquitto: apt-get install mosquitto")
        self.papers = papers
        self.port, self.seen, self.log = port, dict[str, list[str]](), folder / "mosquitto.log"
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nuser root\nallow_anonymous {str(whoever).lower()}\n"
            + ("" if whoever else f"password_file {folder / 'users'}\n")
            + ("" if papers is None else f"certfile {papers / 'here.pem'}\nkeyfile {papers / 'here.key'}\n")
        )
        users = folder / "users"
        subprocess.run(["mosquitto_passwd", "-c", "-b", users, "dfd", PASSWORD], check=True, capture_output=True)
        with self.log.open("wb") as out:
            command = [program, "-c", str(folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        wait_for(self.answers)
        self.listener = self.listening(lambda message: self.seen.setdefault(message.topic, []).append(text_of(message)))

    def listening(self, heard: Callable[[paho.MQTTMessage], object]) -> paho.Client:
        """Somebody new who listens to all topics."""
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.username_pw_set("dfd", PASSWORD)
        client.on_message = lambda client, data, message: heard(message)
        if self.papers is not None:
            client.tls_set(str(self.papers / "ca.pem"))
        client.connect("127.0.0.1", self.port)
        client.subscribe("#", qos=1)
        client.loop_start()
        return client

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def newest(self, topic: str) -> str | None:
        return self.seen[topic][-1] if topic in self.seen else None

    def kept(self, *topics: str) -> dict[str, str]:
        """What somebody who comes now is told at once of these topics."""
        found: dict[str, str] = {}
        client = self.listening(lambda message: message.retain and found.update({message.topic: text_of(message)}))
        wait_for(lambda: found.keys() >= set(topics))
        part(client)
        return {topic: found[topic] for topic in topics}

    def close(self) -> None:
        part(self.listener)
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        return f"mqtt{'' if self.papers is None else 's'}://dfd:{PASSWORD}@127.0.0.1:{self.port}"


def text_of(message: paho.MQTTMessage) -> str:
    return message.payload.decode()


def part(client: paho.Client) -> None:
    client.disconnect()
    client.loop_stop()


PASSWORD = "gate-7"  # noqa: S105  of the test's own broker


@pytest.fixture
def started() -> Iterator[Callable[[Broker], Broker]]:
    """Sees to it that a broker ends with the test, however that ends."""
    with ExitStack() as stack:
        yield lambda broker: stack.enter_context(closing(broker))


@pytest.fixture
def broker(tmp_path: Path, started: Callable[[Broker], Broker]) -> Broker:
    return started(Broker(tmp_path, free_port()))


def test_a_broker_is_told_what_home_assistant_needs(broker):
    relay = Relay(Mqtt(broker.url, "site/dfd", "homeassistant"), lambda name, outcome: None)
    config = "homeassistant/binary_sensor/dfd_cam/config"
    relay.write([notice(1), notice(2, track=2)])
    wait_for(lambda: broker.newest("site/dfd/cam/fake") == "ON" and config in broker.seen)
    wait_for(lambda: broker.newest("site/dfd/status") == "online")
    told = json.loads(broker.newest(config))
    assert (told["state_topic"], told["availability_topic"]) == ("site/dfd/cam/fake", "site/dfd/status")
    assert json.loads(broker.newest(told["json_attributes_topic"]))["stream"] == "cam"
    relay.write([notice(3, State.AUTHENTIC)])
    relay.write([notice(4, State.FAKE, stream="door")])
    wait_for(lambda: broker.newest("site/dfd/door/fake") == "ON")
    assert broker.newest("site/dfd/cam/fake") == "ON"  # the second face is fake still
    relay.write([notice(5, State.UNKNOWN, track=0, final=True)])  # the end of the source is the end of its faces
    wait_for(lambda: broker.newest("site/dfd/cam/fake") == "OFF")
    relay.close()
    wait_for(lambda: broker.newest("site/dfd/status") == "offline")
    assert broker.newest("site/dfd/door/fake") == "ON"


def test_a_monitor_that_dies_is_told_by_its_last_will(broker):
    target = Mqtt(broker.url, "dfd", "")
    wait_for(lambda: broker.newest("dfd/status") == "online")
    target._client.socket().shutdown(socket.SHUT_RDWR)  # no farewell
    wait_for(lambda: "offline" in broker.seen["dfd/status"])
    wait_for(lambda: broker.newest("dfd/status") == "online")  # it came back
    target.close()


def test_a_monitor_that_starts_anew_knows_which_alarms_last(broker):
    target = Mqtt(broker.url, "dfd", "", [("cam", "r1", 1)])
    wait_for(lambda: broker.newest("dfd/cam/fake") == "ON")
    target.deliver(notice(2, State.AUTHENTIC), threading.Event())
    wait_for(lambda: broker.newest("dfd/cam/fake") == "OFF")
    target.close()
    assert not [topic for topic in broker.seen if topic.startswith("homeassistant")]


def test_a_broker_that_is_away_delays_nothing_and_hears_it_later(tmp_path, caplog, started):
    port = free_port()
    counted: Counter[str] = Counter()
    relay = Relay(Mqtt(f"mqtt://dfd:{PASSWORD}@127.0.0.1:{port}", "dfd", ""), lambda name, what: counted.update([what]))
    relay.write([notice(1)])
    wait_for(lambda: counted["delivered"] == 1 and "does not answer" in caplog.text)
    assert PASSWORD not in caplog.text
    broker = started(Broker(tmp_path, port))
    wait_for(lambda: broker.newest("dfd/cam/fake") == "ON")
    relay.close()


def test_messages_for_a_broker_that_is_away_have_a_bound(monkeypatch):
    monkeypatch.setattr("workers.monitor.mqtt.WAITING", 5)
    counted: Counter[str] = Counter()
    relay = Relay(Mqtt(f"mqtt://127.0.0.1:{free_port()}", "dfd", ""), lambda name, what: counted.update([what]))
    relay.write([notice(number) for number in range(10)])
    wait_for(lambda: counted.total() == 10)
    relay.close()
    assert counted["given_up"] == 8


leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho, where TLS fails


# What https://www.home-assistant.io/integrations/binary_sensor.mqtt documents of what is used here.
TOPIC = {"type": "string", "pattern": r"^[^#+\0]{1,200}$"}
DISCOVERY = {
    "type": "object",
    "required": [
        *("name", "unique_id", "device_class", "device", "origin", "payload_on", "payload_off"),
        *("state_topic", "availability_topic", "json_attributes_topic"),
    ],
    "additionalProperties": False,
    "properties": {
        "name": {"type": ["string", "null"]},
        "unique_id": {"type": "string", "minLength": 1},
        "state_topic": TOPIC,
        "availability_topic": TOPIC,
        "json_attributes_topic": TOPIC,
        "payload_on": {"const": "ON"},
        "payload_off": {"const": "OFF"},
        "device_class": {"enum": ["problem", "safety", "tamper", "motion", "occupancy", "presence", "sound", "update"]},
        "device": {
            "type": "object",
            "anyOf": [{"required": ["identifiers"]}, {"required": ["connections"]}],
            "properties": {
                "identifiers": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
                "name": {"type": "string"},
                "sw_version": {"type": "string"},
            },
            "additionalProperties": False,
        },
        "origin": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "sw_version": {"type": "string"}},
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an authority, ca.pem, another one, other.pem, and the certificate of this host, `here`."""
    folder = tmp_path_factory.mktemp("papers")
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={name}",
                "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")  # fmt: skip
    certificate(folder, "here", "IP:127.0.0.1")
    return folder


def test_a_broker_with_tls_is_told_what_home_assistant_documents(tmp_path, signed, started):
    broker = started(Broker(tmp_path, free_port(), signed))
    values = {"mqtt.url": broker.url, "mqtt.ca_file": str(signed / "ca.pem")}
    (relay,) = open_outside(Settings().with_values(values), [], lambda name, outcome: None)
    relay.write([notice(1, stream="Front_door-2")])
    topic = "homeassistant/binary_sensor/dfd_Front_door-2/config"
    wait_for(lambda: broker.newest("dfd/Front_door-2/fake") == "ON" and topic in broker.seen)
    assert re.fullmatch(r"homeassistant/binary_sensor/[A-Za-z0-9_-]+/config", topic)
    told = json.loads(broker.newest(topic))
    jsonschema.validate(told, DISCOVERY)
    said = ("state_topic", "availability_topic", "json_attributes_topic")
    kept = broker.kept(topic, *(told[key] for key in said))  # by a Home Assistant that starts later, too
    state, availability, attributes = (kept[told[key]] for key in said)
    assert json.loads(kept[topic]) == told
    assert (state, availability) == (told["payload_on"], "online")  # which Home Assistant takes for available
    assert isinstance(json.loads(attributes), dict)
    relay.write([notice(2, stream="Front_door-3")])
    other = topic.replace("door-2", "door-3")
    wait_for(lambda: other in broker.seen)
    second = json.loads(broker.newest(other))
    jsonschema.validate(second, DISCOVERY)
    assert second["unique_id"] != told["unique_id"]
    assert second["device"]["identifiers"] != told["device"]["identifiers"]
    assert second["state_topic"] != told["state_topic"]
    assert second["availability_topic"] == told["availability_topic"]
    relay.close()
    wait_for(lambda: broker.newest(told["availability_topic"]) == "offline")


@leaves_sockets
def test_a_broker_that_is_not_who_it_should_be_is_told_nothing(tmp_path, signed, caplog, started):
    broker = started(Broker(tmp_path, free_port(), signed))
    relay = Relay(Mqtt(broker.url, "dfd", "", ca_file=str(signed / "other.pem")), lambda name, what: None)
    relay.write([notice(1)])
    wait_for(lambda: "has a certificate that is not trusted" in caplog.text)
    relay.close()
    assert "dfd/cam/fake" not in broker.seen
    assert PASSWORD not in caplog.text


@leaves_sockets
def test_a_broker_without_tls_is_told_so(broker, signed, caplog):
    target = Mqtt(broker.url.replace("mqtt:", "mqtts:"), "dfd", "", ca_file=str(signed / "ca.pem"))
    wait_for(lambda: "The broker at 127.0.0.1" in caplog.text)
    target.close()
    assert "speaks no TLS" in caplog.text


def test_a_file_of_certificates_that_is_none_is_told(tmp_path):
    (tmp_path / "no.pem").write_text("none")
    for name, words in (("no.pem", "holds no certificate"), ("none.pem", "No such file")):
        values = {"mqtt.url": "mqtts://host", "mqtt.ca_file": str(tmp_path / name)}
        with pytest.raises(SettingsError, match=words):
            check_outside(Settings().with_values(values))
