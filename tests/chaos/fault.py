"""What a fault is, and how one is put into a system that runs: broken, seen in the metrics, mended, recovered."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.chaos.metrics import wait_until
from tests.chaos.system import System

SEEN_S, RECOVERED_S = 20.0, 10.0
MARGIN_S = 60.0  # how long a miss is still watched, to tell by how much


class Fault:
    """One way to fail; a class in one of the files of `faults/`.

    `seen` and `recovered` look at what the monitor serves. `unseen` says why nothing needs to be seen: the system goes
    on as if nothing were. `lasts_s`: it stays broken for at least so long. `deaths`: the roles that may die of it.
    """

    name = ""  # {} stands for how long it lasts
    brief = False  # among the few that CI tries
    soaks = True  # fits into a soak: it is over within a minute, and takes nothing from files beside it for good
    unseen = ""
    clocked = False  # it needs a system whose clock can be stepped
    lasts_s = 0.0
    long_s = 0.0  # likewise in a run that may take long; 0: as ever
    seen_s = SEEN_S
    recovered_s = RECOVERED_S
    deaths: tuple[str, ...] = ()
    told = ""  # what was measured beside, once it is over

    @property
    def title(self) -> str:
        """Its name, whole."""
        return self.name.format(f"{self.lasts_s:g} s")

    def lengthen(self) -> None:
        """Let it last as long as it does in a run that may take long."""
        self.lasts_s = self.long_s or self.lasts_s

    def broken(self, system: System) -> None:
        """Put the fault in."""
        raise NotImplementedError

    def seen(self, system: System) -> bool:
        """Whether the metrics show it."""
        return not system.live()

    def mended(self, system: System) -> None:
        """Take it out, as the world outside would."""

    def recovered(self, system: System, scored: float) -> bool:
        """Whether verdicts go on; `scored`: windows that were scored before it was mended."""
        return system.live() and system.scored() > scored

    def after(self, system: System) -> str:
        """What else is wrong once it has recovered; leaves the system as it was."""
        return ""

    def close(self) -> None:
        """Give back what it took outside of the system; called whatever became of it."""

    def missing(self) -> str:
        """What this machine lacks to try it."""
        return ""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one fault."""

    name: str
    seen_s: float | None
    recovered_s: float | None
    lost: int
    wrong: tuple[str, ...] = ()
    note: str = ""
    well: bool = True  # the system, after it
    told: str = ""

    @property
    def passed(self) -> bool:
        return not self.wrong


def tried(fault: Fault, system: System, patience: float = 1.0) -> Row:
    """Put it in, and see what becomes of it; the system is well before and, where it recovers, after.

    `patience` multiplies the limits, for machines that are busy with something else.
    """
    if lacking := fault.missing():
        return Row(fault.title, None, None, 0, note=f"not tried: {lacking}")
    lost, deaths = system.lost(), len(system.deaths)
    fault.broken(system)
    broken_at = time.monotonic()
    seen = None if fault.unseen else wait_until(lambda: fault.seen(system), patience * fault.seen_s + MARGIN_S)
    time.sleep(max(0.0, broken_at + fault.lasts_s - time.monotonic()))
    scored = system.scored()
    fault.mended(system)
    recovered = wait_until(lambda: fault.recovered(system, scored), patience * fault.recovered_s + MARGIN_S)
    wrong = []
    if not fault.unseen and (seen is None or seen > patience * fault.seen_s):
        wrong.append(f"not seen within {fault.seen_s:.0f} s")
    if recovered is None or recovered > patience * fault.recovered_s:
        wrong.append(f"not well within {fault.recovered_s:.0f} s")
    wrong += [f"{role} died" for role in dict.fromkeys(system.deaths[deaths:]) if role not in fault.deaths]
    if more := fault.after(system):
        wrong.append(more)
    told = [line["key"] for line in system.written()]
    if len(told) != len(set(told)):
        wrong.append("a verdict was written twice")
    well = system.settles()
    if not well:
        wrong.append("the system did not come to work again")
    lost_now = round(system.lost() - lost)
    return Row(fault.title, seen, recovered, lost_now, tuple(wrong), fault.unseen, well, fault.told)


def attempted(fault: Fault, system: System, patience: float = 1.0) -> Row:
    """As `tried`; whatever goes wrong with the attempt itself is told, and the system after it is not trusted."""
    try:
        return tried(fault, system, patience)
    except Exception as error:  # noqa: BLE001  faults of any kind are put in here, and the next shall have its turn
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return Row(fault.title, None, None, 0, (reason,), well=False)
    finally:
        fault.close()
