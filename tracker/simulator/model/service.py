"""The simulated service without HTTP: a world, a clock and settings."""

from __future__ import annotations

import hmac
import threading
from collections import Counter
from dataclasses import dataclass, field

from tracker.simulator.model.clock import SimulatedClock
from tracker.simulator.model.errors import wrong_key_error
from tracker.simulator.model.faults import Faults
from tracker.simulator.model.identifiers import stable_hash
from tracker.simulator.model.throttle import Throttle
from tracker.simulator.model.world import World


@dataclass(slots=True)
class Service:
    """The state and settings behind the application.

    All but the world and the clock may be replaced at any time.
    """

    world: World
    clock: SimulatedClock
    faults: Faults = field(default_factory=Faults)
    api_key: str | None = field(default=None, repr=False)
    poll_after_ms: int | None = None
    # Delay of each response, in real seconds.
    latency: float = 0.0
    throttle: Throttle | None = None
    # Complete responses by status, and faults by name.
    traffic: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    requests: int = 0

    def count_request(self) -> tuple[int, str]:
        """Counts a request; returns its number and the request id of its response."""
        self.requests += 1
        return self.requests, f"req_{stable_hash('request', self.world.seed, self.requests):064x}"[
            :36
        ]

    def check_key(self, key: str | None) -> None:
        """Raises Refused unless the key is the configured one."""
        if self.api_key is None:
            return

        if not key or not hmac.compare_digest(key.encode(), self.api_key.encode()):
            raise wrong_key_error(key)


def read_key(authorization: str | None, api_key: str | None) -> str | None:
    """Returns the API key of a request, from either header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else api_key
