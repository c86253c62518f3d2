"""The outcome of one simulation."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.journal import Broken
from tests.simulation.swarm import Swarm


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of a simulation, and the laws that it broke. `cpu` is in seconds."""

    seed: int
    hours: float
    cpu: float
    runs: int
    events: int
    kills: int
    faults: int
    checked: int
    trace: str
    broken: list[Broken]
    counts: dict[str, int]
    swarm: Swarm

    @property
    def line(self) -> str:
        """A line about it."""
        state = ", ".join(sorted({it.law for it in self.broken})) or "all laws hold"
        return (
            f"seed {self.seed}: {self.hours:.2f} h in {self.cpu:.1f} s, {self.runs} runs, "
            f"{self.events} events, {self.kills} kills, {self.faults} faults, "
            f"{self.checked} checks, trace {self.trace}: {state}"
        )
