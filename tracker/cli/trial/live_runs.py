"""The live runs of the demo: created, answered, and followed to their ends."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from tracker.app.tracker import Tracker
from tracker.core.state import RunState
from tracker.errors import NotFound, RequestRefused, Unreachable
from tracker.event_store import EventStore
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Parameters
from tracker.sources.assistants.resource import Assistants

# Real time, so that time stamps agree with our clock: long enough for stamps of whole seconds, and
# short enough for a demo.
DEMO_PARAMETERS = Parameters(
    time_scale=0.4,
    stretched_to=40.0,
    action=0.35,
    answers="client",
    failed=0.06,
    incomplete=0.04,
    cancelled=0.04,
    endless=0.02,
    expires_after=18.0,
)
_CADENCE = Cadence(longest=1.0, step=0.1, start=50.0)
_ASSISTANTS = tuple(f"asst_{name}" for name in ("research", "refunds", "triage", "digest"))
_UNANSWERED_SHARE = 0.04
# Not the default name, so that real runs in the database are not polled at the simulator.
LIVE_SOURCE = "demo"


@dataclass
class DemoProgress:
    """Progress of a demo: runs that ended, by outcome, and watched runs, by status."""

    total: int
    outcomes: Counter[str] = field(default_factory=Counter)
    watching: Counter[str] = field(default_factory=Counter)

    def get_ended_count(self) -> int:
        """Returns the number of runs that have ended."""
        return sum(self.outcomes.values())


async def run_demo(
    store: str | EventStore,
    base_url: str,
    *,
    runs: int,
    threads: int,
    seed: int,
    progress: DemoProgress,
) -> None:
    """Creates `runs` runs on `threads` threads, answers their calls, and waits for their ends.

    Also waits for open runs of an earlier demo in the same store.
    """
    api = Assistants(base_url=base_url, api_key="demo", name=LIVE_SOURCE)
    async with Tracker(store, api, cadence=_CADENCE) as tracker:
        await _follow_all(tracker, base_url, runs, threads, random.Random(seed), progress)
        await tracker.drain()


async def _follow_all(
    tracker: Tracker,
    base_url: str,
    runs: int,
    threads: int,
    rng: random.Random,
    progress: DemoProgress,
) -> None:
    async with asyncio.TaskGroup() as group:
        earlier = [state.run_id for state in tracker.watching]
        progress.total += len(earlier)
        numbers = iter(range(runs))

        async def follow(run_id: str) -> None:
            try:
                outcome = await answer_until_end(run_id)
            except NotFound:
                # A run of an earlier demo, whose simulator is gone.
                outcome = "vanished"
            progress.outcomes[outcome] += 1
            progress.watching = _count_statuses(tracker)

        async def answer_until_end(run_id: str) -> str:
            state = await tracker.wait(run_id, until="actionable")
            while not state.is_ended:
                progress.watching = _count_statuses(tracker)
                await _answer(tracker, state, rng)
                state = await tracker.wait(run_id, until="actionable")
            return state.status or ""

        async def create_runs() -> None:
            thread = await asyncio.to_thread(_create_thread, base_url)
            for _ in numbers:
                run = await tracker.runs.create(
                    thread,
                    assistant_id=rng.choice(_ASSISTANTS),
                    metadata={"customer": rng.choice(["ann", "bob", "cyd"])},
                )
                await follow(run.id)

        for run_id in earlier:
            group.create_task(follow(run_id))
        for _ in range(min(threads, runs)):
            group.create_task(create_runs())


def _count_statuses(tracker: Tracker) -> Counter[str]:
    return Counter(state.status or "new" for state in tracker.watching)


async def _answer(tracker: Tracker, state: RunState, rng: random.Random) -> None:
    """Submits tool outputs after a moment, as an application would; rarely ignores the calls."""
    assert state.thread_id is not None
    if rng.random() < _UNANSWERED_SHARE:
        await tracker.wait(state.run_id)
        return
    await asyncio.sleep(rng.uniform(0.2, 1.2))
    outputs = [
        {"tool_call_id": call.id, "output": json.dumps({"ok": True})} for call in state.tool_calls
    ]
    try:
        await tracker.runs.submit_tool_outputs(state.thread_id, state.run_id, outputs)
    except RequestRefused:
        # The run has expired, or an interrupted demo had answered it already.
        await tracker.runs.retrieve(state.thread_id, state.run_id)
    except NotFound:
        # The poller finds out and records that the run vanished.
        await tracker.wait(state.run_id)


def _create_thread(base_url: str) -> str:
    request = urllib.request.Request(
        f"{base_url.rstrip('/')}/threads",
        data=b"{}",
        headers={"Content-Type": "application/json", "Authorization": "Bearer demo"},
    )
    # Loopback needs no proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            thread: str = json.load(answer)["id"]
            return thread
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unreachable(
            f"no simulator created a thread at {base_url}: {error}; "
            "start one with `runfold simulate`"
        ) from None
