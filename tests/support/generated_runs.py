"""Generated lives of runs, and polls of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from tracker.core.snapshot import Configuration, RunError, RunSnapshot, ToolCall
from tracker.core.usage import Usage

BIRTH = datetime(2026, 1, 1, 12, tzinfo=UTC)
FUNCTIONS = Configuration(tools=({"type": "function", "function": {"name": "price"}},))
ENDS = ("completed", "failed", "cancelled", "expired", "incomplete")


@dataclass(frozen=True)
class Life:
    """True states of a run, each with the second at which it was entered.

    `ordered` says whether its stamps tell any two of its open states apart by age.
    """

    states: tuple[RunSnapshot, ...]
    ordered: bool = True

    @property
    def statuses(self) -> list[str]:
        return [state.status for state in self.states]


def second(number: float) -> datetime:
    """Returns a moment by its seconds after the creation of a run."""
    return BIRTH + timedelta(seconds=number)


@st.composite
def lives(draw: st.DrawFn, *, stamps: bool = True, run_id: str = "run_1") -> Life:
    """Draws a legal life of one run, to its end or cut off before."""
    now = 0
    started: datetime | None = None
    states: list[RunSnapshot] = []
    metadata = {"user": draw(st.sampled_from(["ann", "bob", "cyd"]))}

    def enter(status: str, **more: object) -> None:
        states.append(
            RunSnapshot.model_validate(
                {
                    "source": "assistants",
                    "run_id": run_id,
                    "observed_at": second(now),
                    "status": status,
                    "thread_id": "thread_1",
                    "assistant_id": "asst_1",
                    "model": "gpt-4o",
                    "created_at": BIRTH,
                    "started_at": started if stamps else None,
                    "expires_at": second(600),
                    "metadata": metadata,
                    "configuration": FUNCTIONS,
                    **more,
                }
            )
        )

    def later() -> None:
        nonlocal now
        now += draw(st.integers(1, 40))

    enter("queued")
    calls = 0
    if draw(st.booleans()) or draw(st.booleans()):
        for pause in range(draw(st.integers(0, 3)) + 1):
            if pause:
                later()
                calls += 1
                enter(
                    "requires_action",
                    tool_calls=(ToolCall(id=f"call_{calls}", name="price", arguments="{}"),),
                )
                if draw(st.booleans()):
                    later()
                    enter("queued")
            later()
            started = second(now)
            enter("in_progress")
            if draw(st.integers(0, 5)) == 0:
                later()
                enter("paused_by_operator")
                later()
                enter("in_progress")
    if draw(st.booleans()):
        later()
        enter("cancelling")
    if draw(st.integers(0, 4)):
        later()
        usage = draw(
            st.none()
            | st.builds(
                Usage,
                prompt_tokens=st.integers(0, 99),
                completion_tokens=st.none() | st.integers(0, 99),
                total_tokens=st.integers(0, 198),
                cached_tokens=st.none() | st.integers(0, 120),
            )
        )
        end = draw(st.sampled_from(ENDS))
        enter(
            end,
            ended_at=second(now) if draw(st.booleans()) else None,
            expires_at=None,
            usage=usage,
            error=RunError(code="server_error", message="no") if end == "failed" else None,
        )
    return Life(tuple(states), ordered=stamps)


@st.composite
def looks(draw: st.DrawFn, life: Life) -> list[RunSnapshot]:
    """Draws polls of a life: in order, repeated, with states missed."""
    seen: list[RunSnapshot] = []
    last: datetime | None = None
    for position, state in enumerate(life.states):
        until = (
            life.states[position + 1].observed_at
            if position + 1 < len(life.states)
            else state.observed_at + timedelta(seconds=30)
        )
        room = (until - state.observed_at).total_seconds()
        moments = sorted(draw(st.lists(st.floats(0.01, 0.95), max_size=3)))
        for moment in moments:
            asked = state.observed_at + timedelta(seconds=room * moment)
            if last is not None and asked <= last:
                continue
            last = asked + timedelta(milliseconds=1)
            seen.append(state.model_copy(update={"asked_at": asked, "observed_at": last}))
    return seen
