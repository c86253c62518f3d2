"""The simulated service without its HTTP: a world, its clock, and how it behaves today."""

from __future__ import annotations

import hmac
import threading
from collections import Counter
from dataclasses import dataclass, field

from tracker.simulator.model.clock import SimulatedClock
from tracker.simulator.model.errors import wrong_key
from tracker.simulator.model.faults import Faults
from tracker.simulator.model.identifiers import stable_hash
from tracker.simulator.model.throttle import Throttle
from tracker.simulator.model.world import World


@dataclass(slots=True)
class Service:
    """What the application serves; all but the world and the clock may be replaced at any time.

    `latency` is in real seconds. `traffic` counts whole answers by status, and faults by name.
    """

    world: World
    clock: SimulatedClock
    faults: Faults = field(default_factory=Faults)
    api_key: str | None = field(default=None, repr=False)
    poll_after_ms: int | None = None
    latency: float = 0.0
    throttle: Throttle | None = None
    traffic: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    requests: int = 0

    def next_request(self) -> tuple[int, str]:
        """The number of a request that arrived, and the id that its answer carries."""
        self.requests += 1
        return self.requests, f"req_{stable_hash('request', self.world.seed, self.requests):064x}"[
            :36
        ]

    def check_key(self, given: str | None) -> None:
        """Raises Refused unless the key is the one asked for."""
        if self.api_key is None:
            return

        if not given or not hmac.compare_digest(given.encode(), self.api_key.encode()):
            raise wrong_key(given)


def read_key(authorization: str | None, api_key: str | None) -> str | None:
    """The key that a request carries, in either header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else api_key
