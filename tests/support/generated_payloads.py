"""Generated lives of runs of the other APIs, as bodies and as snapshots."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from tests.support.generated_runs import Life, second
from tracker.sources.detection import FORMATS
from tracker.sources.payload_format import PayloadFormat

FORMAT = {it.name: it for it in FORMATS}
TOKENS = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 42,
}


class _Clock:
    """A clock that moves from state to state, and writes moments as the service does."""

    def __init__(self, draw: st.DrawFn, *, clone: bool) -> None:
        self._draw = draw
        self._clone = clone
        self.now = 0

    def later(self) -> None:
        self.now += self._draw(st.integers(1, 40))

    def stamp(self, moment: int | None = None) -> Any:
        """Returns Unix seconds, which look-alikes sometimes send as milliseconds."""
        seconds = int(second(self.now if moment is None else moment).timestamp())
        return seconds * 1000 if self._clone and self._draw(st.booleans()) else seconds


def _read(
    payload_format: PayloadFormat,
    states: list[tuple[int, dict[str, Any]]],
    *,
    ordered: bool = False,
) -> Life:
    snapshots = [
        payload_format.snapshot(body, payload_format.name, observed_at=second(moment))
        for moment, body in states
    ]
    return Life(tuple(snapshots), ordered=ordered)


@st.composite
def responses(draw: st.DrawFn) -> Life:
    """Draws a response made in the background, which may stop for its caller."""
    clone = draw(st.booleans())
    clock = _Clock(draw, clone=clone)
    states: list[tuple[int, dict[str, Any]]] = []

    def enter(status: str, **more: Any) -> None:
        body = {"id": "resp_1", "object": "response", "status": status, **more}
        if not clone:
            body |= {"model": "gpt-5", "background": True, "metadata": {"team": "blue"}}
            body |= {"created_at": clock.stamp(0), "tools": [{"type": "function", "name": "a"}]}
        states.append((clock.now, body))

    enter("queued", output=[], usage=None)
    if draw(st.booleans()):
        clock.later()
        enter("in_progress", output=[])
    end = draw(st.sampled_from(["completed", "calls", "failed", "cancelled", "incomplete", None]))
    if end is not None:
        clock.later()
        usage = draw(st.sampled_from([None, TOKENS]))
        call = {"type": "function_call", "call_id": "call_1", "name": "a", "arguments": "{}"}
        enter(
            "completed" if end == "calls" else end,
            usage=usage,
            output=[call] if end == "calls" else [{"type": "message", "content": []}],
            completed_at=clock.stamp() if end in ("completed", "calls") else None,
            error={"code": "server_error", "message": "no"} if end == "failed" else None,
            incomplete_details={"reason": "content_filter"} if end == "incomplete" else None,
        )
    return _read(FORMAT["responses"], states)


@st.composite
def turns(draw: st.DrawFn) -> Life:
    """Draws a turn of a session, which may wait several times after one start."""
    clock = _Clock(draw, clone=False)
    states: list[tuple[int, dict[str, Any]]] = []
    started: Any = None

    def enter(status: str, **more: Any) -> None:
        body = {"id": "turn_1", "object": "agent.session.turn", "session_id": "sess_1"}
        body |= {"agent_id": "agent_1", "created_at": clock.stamp(0), "started_at": started}
        states.append((clock.now, {**body, "status": status, **more}))

    enter("queued")
    for wait in range(draw(st.integers(0, 3))):
        clock.later()
        started = started or clock.stamp()
        enter("in_progress")
        if draw(st.booleans()):
            clock.later()
            call = {"type": "function_call", "call_id": f"call_{wait}", "name": "a"}
            enter("waiting", required_actions=[{**call, "arguments": {"x": 1}}])
    end = draw(st.sampled_from(["completed", "failed", "cancelled", None]))
    if end is not None:
        clock.later()
        usage = draw(st.sampled_from([None, TOKENS]))
        enter(end, usage=usage, completed_at=draw(st.sampled_from([clock.stamp(), None])))
    return _read(FORMAT["agents"], states)


@st.composite
def graph_runs(draw: st.DrawFn) -> Life:
    """Draws a run of a graph, which may stop at an interrupt until another run follows it."""
    clock = _Clock(draw, clone=False)
    states: list[tuple[int, dict[str, Any]]] = []

    def iso(moment: datetime) -> str:
        return moment.isoformat()

    def enter(status: str, updated: int | None = None, **more: Any) -> None:
        body = {"run_id": "run_1", "thread_id": "thread_1", "assistant_id": "agent"}
        body |= {"status": status, "metadata": {"created_by": "system"}, "kwargs": {"input": {}}}
        stamp = iso(second(clock.now if updated is None else updated))
        body |= {"created_at": iso(second(0)), "updated_at": stamp}
        states.append((clock.now, {**body, **more}))

    enter("pending")
    if draw(st.booleans()):
        clock.later()
        enter("running")
    end = draw(st.sampled_from(["success", "stop", "error", "timeout", "interrupted", None]))
    if end == "stop":
        clock.later()
        stopped = clock.now
        interrupt = {"id": "i1", "value": {"question": "?"}}
        tasks = [{"id": "t", "name": "work", "error": None, "interrupts": [interrupt]}]
        enter("success", state={"next": ["work"], "tasks": tasks})
        if draw(st.booleans()):
            clock.later()
            enter("success", updated=stopped)
    elif end is not None:
        clock.later()
        enter(end)
    return _read(FORMAT["langgraph"], states)


other_lives = st.one_of(responses(), turns(), graph_runs())
