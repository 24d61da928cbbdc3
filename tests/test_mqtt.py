"""MQTT: a real broker is told what Home Assistant needs; one that is away delays nothing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from dfd_core.types import State
from tests.fixtures_monitor import wait_for
from tests.fixtures_redis import free_port
from tests.test_outside import notice
from workers.monitor.mqtt import Mqtt
from workers.monitor.relay import Relay


class Broker:
    """Debian's mosquitto, and somebody who listens to all topics and remembers what was retained."""

    def __init__(self, folder: Path, port: int) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            pytest.skip("no mosquitto: apt-get install mosquitto")
        self.port, self.seen, self.log = port, dict[str, list[str]](), folder / "mosquitto.log"
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {folder / 'users'}\nuser root\n"
        )
        users = folder / "users"
        subprocess.run(["mosquitto_passwd", "-c", "-b", users, "dfd", PASSWORD], check=True, capture_output=True)
        with self.log.open("wb") as out:
            command = [program, "-c", str(folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        wait_for(self.answers)
        self.listener = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.listener.username_pw_set("dfd", PASSWORD)
        self.listener.on_message = lambda client, data, message: self.seen.setdefault(message.topic, []).append(
            message.payload.decode()
        )
        self.listener.connect("127.0.0.1", port)
        self.listener.subscribe("#", qos=1)
        self.listener.loop_start()

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def newest(self, topic: str) -> str | None:
        return self.seen[topic][-1] if topic in self.seen else None

    def close(self) -> None:
        self.listener.disconnect()
        self.listener.loop_stop()
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        return f"mqtt://dfd:{PASSWORD}@127.0.0.1:{self.port}"


PASSWORD = "gate-7"  # noqa: S105  of the test's own broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, free_port())
    yield made
    made.close()


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


def test_a_broker_that_is_away_delays_nothing_and_hears_it_later(tmp_path, caplog):
    port = free_port()
    counted: Counter[str] = Counter()
    relay = Relay(Mqtt(f"mqtt://dfd:{PASSWORD}@127.0.0.1:{port}", "dfd", ""), lambda name, what: counted.update([what]))
    relay.write([notice(1)])
    wait_for(lambda: counted["delivered"] == 1 and "does not answer" in caplog.text)
    assert PASSWORD not in caplog.text
    broker = Broker(tmp_path, port)
    wait_for(lambda: broker.newest("dfd/cam/fake") == "ON")
    relay.close()
    broker.close()


def test_messages_for_a_broker_that_is_away_have_a_bound(monkeypatch):
    monkeypatch.setattr("workers.monitor.mqtt.WAITING", 5)
    counted: Counter[str] = Counter()
    relay = Relay(Mqtt(f"mqtt://127.0.0.1:{free_port()}", "dfd", ""), lambda name, what: counted.update([what]))
    relay.write([notice(number) for number in range(10)])
    wait_for(lambda: counted.total() == 10)
    relay.close()
    assert counted["given_up"] == 8
