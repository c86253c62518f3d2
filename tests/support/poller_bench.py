"""A poller on a fake clock with a store in memory, and a source that gives scripted replies."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.support.assistants_answers import AssistantsAnswers
from tracker import open_event_store
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.event_store import EventStore
from tracker.polling.dispatcher import source_status
from tracker.polling.overdue import OverdueAudit
from tracker.polling.policy.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.polling.run_updates import RunUpdates, StepsWhen
from tracker.polling.source_status import SourceStatus
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.runtime.worker_threads import WorkerThreads
from tracker.sources.answer import Answer
from tracker.sources.source import Source
from tracker.testing import FakeClock

Reply = Mapping[str, Any] | RunfoldError


def body(status: str, **more: Any) -> dict[str, Any]:
    """Returns a run as the Assistants API shows it."""
    return {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "status": status,
        "created_at": 1_767_225_600,
        "tools": [],
        **more,
    }


class ScriptedSource(AssistantsAnswers):
    """A source that gives scripted replies in order and repeats the last; an error is raised.

    `asked` are the moments of its polls, `read` the number of bodies that were decoded.
    """

    def __init__(self, clock: FakeClock, *replies: Reply, hint: float | None = None) -> None:
        self.clock = clock
        self.replies = list(replies)
        self.hint = hint
        self.asked: list[float] = []
        self.read = 0

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        self.asked.append(self.clock.monotonic())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, RunfoldError):
            raise reply
        asked_at = self.clock.now()
        self.clock.advance(0.01)
        return Answer(
            body=json.dumps({**reply, "id": run_id}).encode(),
            status=200,
            asked_at=asked_at,
            observed_at=self.clock.now(),
            poll_after=self.hint,
        )

    def snapshot(self, body: bytes | Mapping[str, Any], **moments: Any) -> RunSnapshot:
        self.read += 1
        return super().snapshot(body, **moments)


def _no_jitter() -> float:
    return 0.5


class Bench:
    """A poller with its clock and its store."""

    def __init__(
        self,
        steps: StepsWhen = "ended",
        cadence: Cadence | None = None,
        store: EventStore | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.store = store or open_event_store("memory://")
        self.repository, self.threads = RunRepository(self.store), WorkerThreads()
        self.commits = GroupCommit(self.repository, self.threads)
        self.watch_list = WatchList(self.clock, cadence, jitter=_no_jitter)
        self.updates = RunUpdates(self.watch_list, self.commits, self.clock, steps)
        self.poller = Poller(
            self.watch_list, self.updates, self.commits, self.clock, jitter=_no_jitter
        )
        self.overdue = OverdueAudit(self.watch_list)

    def status(self, source: Source) -> SourceStatus:
        """Returns the status of a source now."""
        return source_status(self.watch_list.dispatcher(source), self.clock.monotonic())

    async def advance(self, seconds: float, step: float = 0.05) -> None:
        """Lets simulated seconds pass, with a tick of the poller every `step`."""
        for _ in range(round(seconds / step)):
            await self.poller.tick()
            await self.poller.settle()
            self.clock.advance(step)

    @property
    def topics(self) -> list[str]:
        """Returns the topics of the events of run_1, in order."""
        return [entry.event.topic for entry in self.store.read("assistants:run_1")]


def run(scenario: Callable[[Bench], Awaitable[None]], steps: StepsWhen = "ended") -> None:
    """Runs a scenario on a bench, which is closed at its end."""

    async def body() -> None:
        bench = Bench(steps)
        try:
            await asyncio.wait_for(scenario(bench), 600)
        finally:
            await bench.poller.close()

    asyncio.run(body())


def watch(
    bench: Bench, service: ScriptedSource, run_id: str = "run_1", thread_id: str = "thread_1"
) -> WatchedRun:
    """Has the poller watch a run of a scripted source."""
    return bench.watch_list.watch(service, thread_id, run_id)


def ended(state: RunState) -> bool:
    """True if a run has ended: the condition that most tests wait for."""
    return state.is_ended


KNOWN = RunState("assistants", "run_1", "thread_1", status="in_progress")


def others(source: str, thread_id: str) -> bool:
    """Returns False: a partition of threads of which this poller owns none."""
    return False
