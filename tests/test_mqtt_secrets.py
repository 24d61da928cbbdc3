"""What a broker is told holds no password: neither its own, nor that of any camera, in a topic or a payload."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dfd_core.errors import SettingsError
from dfd_core.media import redact, stream_names
from dfd_core.settings import Settings
from dfd_core.types import State
from tests.fixtures_monitor import wait_for
from tests.fixtures_redis import free_port
from tests.passwords import PASSWORDS, addresses, told
from tests.test_mqtt import Broker
from tests.test_outside import notice
from workers.monitor.mqtt import Mqtt
from workers.monitor.outside import check_outside


def can_be_used(url: str) -> bool:
    try:
        check_outside(Settings().with_values({"mqtt.url": url}))
    except SettingsError:
        return False
    return True


def test_no_topic_and_no_payload_tells_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker(tmp_path, free_port(), whoever=True)
    cameras = addresses("rtsp", "127.0.0.1:1/1")
    streams = stream_names(cameras)
    brokers = list(filter(can_be_used, addresses("mqtt", f"127.0.0.1:{broker.port}")))[::5]
    assert len(set(streams)) == len(PASSWORDS)
    assert len(brokers) > 20
    for number, url in enumerate(brokers):
        target = Mqtt(url, f"site{number}", "homeassistant")
        for camera, stream in list(zip(cameras, streams, strict=True))[number :: len(brokers)]:
            end = replace(notice(3, State.FAKE, final=True, stream=stream), reason=f"{redact(camera)} was lost")
            for each in (notice(1, stream=stream), notice(2, State.UNKNOWN, stream=stream), end):
                target.deliver(each, threading.Event())
        wait_for(lambda n=number: broker.newest(f"site{n}/status") == "online")  # type: ignore[misc]
        target.close()
    wait_for(lambda: sum("was lost" in payloads[-1] for payloads in list(broker.seen.values())) == len(streams))
    broker.close()
    said = "\n".join(line for topic, payloads in broker.seen.items() for line in (topic, *payloads))
    assert not told(said)
    assert not told(caplog.text + broker.log.read_text())


@pytest.mark.parametrize("key", ["topic", "discovery"])
def test_an_address_in_place_of_a_topic_is_refused_and_not_repeated(key: str) -> None:
    for url in [*addresses("mqtt", "broker"), *(f"admin:{password}@broker" for password in PASSWORDS)]:
        with pytest.raises(SettingsError, match=rf"mqtt\.{key} is where dfd publishes") as raised:
            check_outside(Settings().with_values({f"mqtt.{key}": url}))
        assert not told(str(raised.value))
    check_outside(Settings().with_values({f"mqtt.{key}": "site/dfd-1"}))
