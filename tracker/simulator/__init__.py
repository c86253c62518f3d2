"""An Assistants-compatible service with life times and faults, for demos and tests."""

from __future__ import annotations

from tracker.simulator.clock import ManualClock, SimulatedClock, SpeedClock
from tracker.simulator.faults import Faults
from tracker.simulator.parameters import Parameters
from tracker.simulator.refusals import Refused
from tracker.simulator.server import Simulator, serve
from tracker.simulator.truth import TrueStep, Truth

__all__ = [
    "Faults",
    "ManualClock",
    "Parameters",
    "Refused",
    "SimulatedClock",
    "Simulator",
    "SpeedClock",
    "TrueStep",
    "Truth",
    "serve",
]
