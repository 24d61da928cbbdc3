"""What a broker is told holds no password: neither its own, nor that of any camera, in a topic or a payload."""

from __future__ import annotations

import threading
from contextlib import closing
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


def tell(broker: Broker, url: str, topic: str, cameras: list[tuple[str, str]]) -> None:
    """Tell the broker of the beginning, the doubt and the end of each of the cameras (address, stream)."""
    with closing(Mqtt(url, topic, "homeassistant")) as target:
        for camera, stream in cameras:
            end = replace(notice(3, State.FAKE, final=True, stream=stream), reason=f"{redact(camera)} was lost")
            for each in (notice(1, stream=stream), notice(2, State.UNKNOWN, stream=stream), end):
                target.deliver(each, threading.Event())
        ends = [f"{topic}/{stream}/verdict" for _, stream in cameras]
        wait_for(
            lambda: all("was lost" in (broker.newest(end) or "") for end in ends)
        )  # closing waits for a second only
        wait_for(lambda: broker.newest(f"{topic}/status") == "online")


def test_no_topic_and_no_payload_tells_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cameras = addresses("rtsp", "127.0.0.1:1/1")
    named = list(zip(cameras, stream_names(cameras), strict=True))
    assert len({stream for _, stream in named}) == len(PASSWORDS)
    with closing(Broker(tmp_path, free_port(), whoever=True)) as broker:
        brokers = list(filter(can_be_used, addresses("mqtt", f"127.0.0.1:{broker.port}")))[::5]
        assert len(brokers) > 20
        for number, url in enumerate(brokers):
            tell(broker, url, f"site{number}", named[number :: len(brokers)])
    said = "\n".join(line for topic, payloads in broker.seen.items() for line in (topic, *payloads))
    assert said.count("was lost") >= len(named)
    assert not told(said)
    assert not told(caplog.text + broker.log.read_text())


@pytest.mark.parametrize("key", ["topic", "discovery"])
def test_an_address_in_place_of_a_topic_is_refused_and_not_repeated(key: str) -> None:
    for url in [*addresses("mqtt", "broker"), *(f"admin:{password}@broker" for password in PASSWORDS)]:
        with pytest.raises(SettingsError, match=rf"mqtt\.{key} is where dfd publishes") as raised:
            check_outside(Settings().with_values({f"mqtt.{key}": url}))
        assert not told(str(raised.value))
    check_outside(Settings().with_values({f"mqtt.{key}": "site/dfd-1"}))
