"""A service on virtual time that counts, refuses and ends runs, without HTTP and without steps.

It is polled by the whole poller, so that minutes of thousands of runs take seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from tests.benchmarks.virtual_time import CallersThread, VirtualClock
from tests.support.assistants_answers import AssistantsAnswers
from tracker.errors import RateLimited
from tracker.event_store import open_event_store
from tracker.polling.dispatcher import TICK_SECONDS
from tracker.polling.policy.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.sources.answer import Answer

# Windows do not begin when the tracker does.
_WINDOW_OFFSET = 23.0


class Limit(Protocol):
    """A rate limit of a service."""

    per_minute: float

    def consume(self, now: float) -> float:
        """Returns 0.0 for a request that is let through, or else the seconds to wait."""


@dataclass
class Bucket:
    """A token bucket, by default with a burst of a twentieth of a minute's requests."""

    per_minute: float
    burst: float | None = None
    updated_at: float = 0.0

    def __post_init__(self) -> None:
        self.size = max(self.per_minute / 20 if self.burst is None else self.burst, 1.0)
        self.tokens = self.size

    def consume(self, now: float) -> float:
        """Takes a token, or says when there will be one."""
        rate = self.per_minute / 60
        self.tokens = min(self.size, self.tokens + (now - self.updated_at) * rate)
        self.updated_at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / rate


@dataclass
class Windows:
    """Fixed windows of a minute."""

    per_minute: float
    window: float = -1.0
    used: float = 0.0

    def consume(self, now: float) -> float:
        """Counts a request in the window of now, or says when the window ends."""
        window, into = divmod(now + _WINDOW_OFFSET, 60.0)
        if window != self.window:
            self.window, self.used = window, 0.0
        if self.used + 1 > self.per_minute:
            return 60.0 - into
        self.used += 1
        return 0.0


def _ignore(run_id: str) -> None:
    pass


def _refuses_nobody(thread_id: str, run_id: str) -> bool:
    return False


@dataclass
class LimitedService(AssistantsAnswers):
    """A source whose service has a limit, refuses some runs always, and ends runs at their time.

    `says_when` is true if its refusals have a Retry-After. `seen` has the moments at which each run
    was answered, `answered` and `refused` those of all requests.
    """

    clock: VirtualClock
    limit: Limit | None = None
    says_when: bool = True
    latency: float = 0.06
    refuses: Callable[[str, str], bool] = _refuses_nobody
    refused_for: float = 30.0
    ends: dict[str, float] = field(default_factory=dict)
    births: dict[str, float] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    seen: dict[str, list[float]] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)
    # Called with each run whose end was seen.
    on_end: Callable[[str], None] = _ignore

    def begin(self, run_id: str, life: float | None = None) -> None:
        """Starts a run that ends after so many seconds, or never."""
        self.births[run_id] = self.clock.monotonic()
        if life is not None:
            self.ends[run_id] = self.clock.monotonic() + life

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Answers, or refuses, in the middle of the latency."""
        asked_at = self.clock.now()
        await asyncio.sleep(self.latency / 2)
        now, own = self.clock.monotonic(), self.refuses(thread_id or "", run_id)
        wait = self.refused_for if own else self.limit.consume(now) if self.limit else 0.0
        body = b"" if wait else self._body(thread_id, run_id, now)
        await asyncio.sleep(self.latency / 2)
        if wait:
            self.refused.append(now)
            raise RateLimited("429: slow down", retry_after=wait if self.says_when else None)
        self.answered.append(now)
        self.seen.setdefault(run_id, []).append(now)
        return Answer(body=body, status=200, asked_at=asked_at, observed_at=self.clock.now())

    def _body(self, thread_id: str | None, run_id: str, now: float) -> bytes:
        end = self.ends.get(run_id)
        if end is not None and end <= now:
            self.delays.append((end, now - end))
            self.bodies.pop(run_id, None)
            self.on_end(run_id)
            return self._document(thread_id, run_id, "completed")
        if run_id not in self.bodies:
            self.bodies[run_id] = self._document(thread_id, run_id, "in_progress")
        return self.bodies[run_id]

    def _document(self, thread_id: str | None, run_id: str, status: str) -> bytes:
        start = int(self.clock.now().timestamp() - self.clock.monotonic())
        born = start + int(self.births.get(run_id, 0.0))
        document = {"id": run_id, "object": "thread.run", "thread_id": thread_id, "tools": []}
        document |= {"status": status, "created_at": born, "started_at": born}
        document |= {"assistant_id": f"asst_{run_id[-1]}"}
        if status == "completed":
            document["completed_at"] = start + int(self.ends[run_id])
        return json.dumps(document).encode()


class Follower:
    """A poller of such a service, with its watch list."""

    def __init__(self, clock: VirtualClock, seed: int = 0, cadence: Cadence | None = None) -> None:
        chance = Random(seed)
        self.repository = RunRepository(open_event_store("memory://"))
        commits = GroupCommit(self.repository, CallersThread())
        self.watch_list = WatchList(clock, cadence, jitter=chance.random)
        self.updates = RunUpdates(self.watch_list, commits, clock)
        self.poller = Poller(self.watch_list, self.updates, commits, clock, jitter=chance.random)

    def watch(self, service: LimitedService, run_id: str, thread_id: str | None = None) -> None:
        """Watches a run, on a thread of its own if none is given."""
        self.watch_list.watch(service, thread_id or f"thread_{run_id}", run_id)

    async def follow(self, seconds: float) -> None:
        """Polls for so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await self.poller.tick()
            await asyncio.sleep(TICK_SECONDS)
