"""An Assistants-compatible service with configurable durations and faults, for demos and tests."""

from __future__ import annotations

from tracker.simulator.model.clock import ManualClock, SimulatedClock, SpeedClock
from tracker.simulator.model.errors import Refused
from tracker.simulator.model.faults import Faults
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.truth import TrueStep, Truth
from tracker.simulator.replay import Replay
from tracker.simulator.server import Simulator, serve

__all__ = [
    "Faults",
    "ManualClock",
    "Parameters",
    "Refused",
    "Replay",
    "SimulatedClock",
    "Simulator",
    "SpeedClock",
    "TrueStep",
    "Truth",
    "serve",
]
