"""A source whose runs live by a true timeline, on a fake clock whose wall time may be set."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.support.poller_bench import ScriptedSource, body
from tracker.sources.answer import Answer
from tracker.testing import FakeClock

# The service's clock when a fake clock is at 0.
CREATED = 1_767_225_600.4
_ENDS = ("completed", "failed", "cancelled")

# A status, and how many seconds after the creation it began.
Life = Sequence[tuple[str, float]]


class TrueSource(ScriptedSource):
    """A source that shows where a run is in its life; stamps are in whole seconds, rounded down.

    `during` is called in the middle of each request.
    """

    def __init__(self, clock: FakeClock, life: Life, *, with_stamps: bool = True) -> None:
        super().__init__(clock)
        self.life, self.with_stamps = life, with_stamps
        self.born = clock.monotonic()
        self._created = CREATED + self.born
        self.during: Callable[[], None] = lambda: None

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        asked_at = self.clock.now()
        self.clock.advance(0.03)
        reply = self._show(self.clock.monotonic() - self.born)
        self.during()
        self.clock.advance(0.02)
        self.replies = [reply]
        answer = await super().fetch(thread_id, run_id, known)
        return Answer(
            body=answer.body, status=200, asked_at=asked_at, observed_at=answer.observed_at
        )

    def _show(self, age: float) -> dict[str, Any]:
        passed = [(status, at) for status, at in self.life if at <= age]
        status, at = passed[-1] if passed else self.life[0]
        more: dict[str, Any] = {"created_at": int(self._created) if self.with_stamps else None}
        starts = [int(self._created + at) for status, at in passed if status == "in_progress"]
        if starts and self.with_stamps:
            more["started_at"] = starts[-1]
        if status in _ENDS and self.with_stamps:
            more[f"{status}_at"] = int(self._created + at)
        if status == "requires_action":
            number = sum(it == status for it, _ in passed)
            call = {"id": f"call_{number}", "type": "function"}
            call |= {"function": {"name": "f", "arguments": "{}"}}
            more["required_action"] = {
                "type": "submit_tool_outputs",
                "submit_tool_outputs": {"tool_calls": [call]},
            }
        return body(status, **more)
