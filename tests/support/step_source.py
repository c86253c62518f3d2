"""A scripted source with steps, and the steps that were recorded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.poller_bench import Bench, ScriptedSource
from tracker.core.events import RunStepRecorded
from tracker.core.snapshot import StepSnapshot
from tracker.core.state import RunState
from tracker.sources.answer import Answer
from tracker.sources.assistants.snapshots import step_snapshot

ENDED = RunState(status="completed")


def step(name: str, status: str = "completed") -> dict[str, Any]:
    """Returns a step as the Assistants API shows it."""
    times = {"created_at": 1_767_225_601, "completed_at": 1_767_225_602}
    return {"id": name, "object": "thread.run.step", "type": "tool_calls", "status": status} | times


class SourceWithSteps(ScriptedSource):
    """A source with steps in pages of two, whose first step reads raise the given failures.

    `steps_asked` has the moment, the run and the cursor of each step read.
    """

    def __init__(self, bench: Bench, *replies: Any, failures: Sequence[Exception] = ()) -> None:
        super().__init__(bench.clock, *replies)
        self.steps: list[Mapping[str, Any]] = [step("step_1"), step("step_2"), step("step_3")]
        self.failures = list(failures)
        self.steps_asked: list[tuple[float, str, str | None]] = []

    async def fetch_steps(
        self, thread_id: str | None, run_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        self.steps_asked.append((self.clock.monotonic(), run_id, after))
        if self.failures:
            raise self.failures.pop(0)
        names = [entry.get("id") for entry in self.steps]
        first = names.index(after) + 1 if after else 0
        shown = self.steps[first : first + 2]
        now = self.clock.now()
        more = first + 2 < len(self.steps)
        return (
            Answer(json.dumps(shown).encode(), 200, now, now),
            shown,
            str(shown[-1]["id"]) if more else None,
        )

    def steps_snapshot(self, body: bytes | Mapping[str, Any]) -> StepSnapshot:
        return step_snapshot(body)


def recorded(bench: Bench, name: str = "run_1") -> list[str]:
    """Returns the ids of the steps that are recorded of a run, in order."""
    events = [entry.event for entry in bench.store.read(f"assistants:{name}")]
    return [event.step_id for event in events if isinstance(event, RunStepRecorded)]
