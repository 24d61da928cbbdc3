"""A Redis that dies, comes back empty, cannot be reached, refuses, is slow, or forgets."""

from __future__ import annotations

import shutil
import time

from tests.chaos.fault import Fault
from tests.chaos.metrics import wait_until
from tests.chaos.redis_server import PASSWORD
from tests.chaos.system import System


class Away(Fault):
    """What all of them have in common: the monitor says so."""

    lasts_s = 5.0

    def seen(self, system: System) -> bool:
        return system.watch.value("dfd_redis_up") == 0


class Killed(Away):
    name = "Redis killed and restarted"

    def broken(self, system: System) -> None:
        system.redis.keep_on_disk(True)
        system.redis.kill()

    def mended(self, system: System) -> None:
        system.redis.start()

    def after(self, system: System) -> str:
        system.redis.keep_on_disk(False)
        return ""


class Emptied(Away):
    name = "Redis killed, and back empty"
    brief = True
    soaks = False

    def broken(self, system: System) -> None:
        system.redis.kill(forgetting=True)

    def mended(self, system: System) -> None:
        system.redis.start()

    def after(self, system: System) -> str:
        return "" if wait_until(lambda: system.watch.value("dfd_workers") == 1, 20) is not None else "no worker is told"


class Silent(Away):
    """It answers nothing and refuses nothing, while the face goes on to be fake: that is one alarm."""

    def broken(self, system: System) -> None:
        self._alarms = system.alarms()

    def after(self, system: System) -> str:
        system.settle()  # a face that is followed anew is fake again some windows later
        return "" if system.alarms() == self._alarms else "an alarm that lasted was told again"


class Unreachable(Silent):
    name = "Redis unreachable for 60 s"
    soaks = False
    lasts_s = 60.0

    def broken(self, system: System) -> None:
        super().broken(system)
        system.redis.proxy.dark = True

    def mended(self, system: System) -> None:
        system.redis.proxy.dark = False


class Frozen(Silent):
    name = "Redis hangs for 20 s"
    lasts_s = 20.0

    def broken(self, system: System) -> None:
        super().broken(system)
        system.redis.freeze()

    def mended(self, system: System) -> None:
        system.redis.thaw()


class Full(Away):
    name = "Redis full (noeviction)"
    brief = True

    def broken(self, system: System) -> None:
        system.redis.client.config_set("maxmemory", 1)

    def mended(self, system: System) -> None:
        system.redis.client.config_set("maxmemory", 0)


class CannotSave(Away):
    name = "Redis refuses to write: MISCONF, its disk is full"

    def broken(self, system: System) -> None:
        gone = system.folder / "gone"
        gone.mkdir()
        client = system.redis.client
        client.config_set("dir", str(gone))
        shutil.rmtree(gone)
        client.config_set("save", "3600 1")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 10)

    def mended(self, system: System) -> None:
        client = system.redis.client
        client.config_set("dir", str(system.redis.folder))
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", 10)
        client.config_set("save", "")


class Slow(Fault):
    name = "Redis slow: 100 ms a command"
    lasts_s = 15.0
    unseen = "verdicts go on, later"

    def broken(self, system: System) -> None:
        system.redis.proxy.delay_s = 0.1
        self._scored, self._began = system.scored(), time.monotonic()

    def mended(self, system: System) -> None:
        self._pace = (system.scored() - self._scored) / (time.monotonic() - self._began)
        system.redis.proxy.delay_s = 0.0

    def after(self, system: System) -> str:
        return "" if self._pace > 0.3 else f"only {self._pace:.2f} windows a second were scored"


class WrongPassword(Away):
    name = "Redis has another password"

    def broken(self, system: System) -> None:
        client = system.redis.client
        client.config_set("requirepass", "another-password")
        client.client_kill_filter(_type="normal", skipme=True)

    def mended(self, system: System) -> None:
        system.redis.client.config_set("requirepass", PASSWORD)


class Flushed(Fault):
    name = "Redis flushed under a running system"
    soaks = False
    unseen = "its names are written again before anybody misses them"

    def broken(self, system: System) -> None:
        system.redis.client.flushall()

    def after(self, system: System) -> str:
        served = wait_until(lambda: system.watch.value("dfd_workers") == 1, 20)
        return "" if served is not None else "no worker is told"


class ReadOnly(Away):
    name = "Redis fails over to read-only"

    def broken(self, system: System) -> None:
        system.redis.client.replicaof("127.0.0.1", "1")

    def mended(self, system: System) -> None:
        system.redis.client.replicaof("no", "one")


FAULTS = (
    Killed(), Emptied(), Unreachable(), Frozen(), Full(), CannotSave(), Slow(), WrongPassword(), Flushed(), ReadOnly(),
)  # fmt: skip
