"""The true history of a run, to compare with a tracker's records in tests."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.core.usage import Usage
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.run_life import Life


@dataclass(frozen=True, slots=True)
class TrueStep:
    """A step; times are unix seconds with fractions, `ended_at` and `usage` None until it ends."""

    id: str
    type: str
    status: str
    tools: tuple[str, ...]
    created_at: float
    ended_at: float | None
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Truth:
    """The history of a run up to a given time. Times are unix seconds with fractions.

    `transitions` are pairs of status and time, from `queued` at the creation to the latest one.
    `ended_at`, `usage`, `error_code` and `incomplete_reason` are None until the end.
    """

    run_id: str
    thread_id: str
    assistant_id: str
    model: str
    created_at: float
    expires_at: float
    transitions: tuple[tuple[str, float], ...]
    steps: tuple[TrueStep, ...]
    ended_at: float | None
    usage: Usage | None
    error_code: str | None
    incomplete_reason: str | None

    @property
    def status(self) -> str:
        """The latest status."""
        return self.transitions[-1][0]


def build_truth(run: RunRecord, life: Life, now: float) -> Truth:
    """Builds the history of a run up to `now`, including planned events if `now` is later."""
    moment = life.at(now)
    ended = moment.ended_at is not None
    tokens = life.tokens if ended else None
    steps = []
    for step in life.steps:
        if step.created_at > now:
            continue
        is_over = step.ended_at <= now
        steps.append(
            TrueStep(
                id=step.planned.id,
                type=step.planned.type,
                status=step.status if is_over else "in_progress",
                tools=tuple(call.function or call.type for call in step.planned.calls),
                created_at=step.created_at,
                ended_at=step.ended_at if is_over else None,
                usage=step.tokens.to_usage() if is_over and step.tokens else None,
            )
        )

    return Truth(
        run_id=run.id,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id,
        model=run.model,
        created_at=run.created_at,
        expires_at=life.expires_at,
        transitions=tuple((each.status, each.at) for each in life.transitions if each.at <= now),
        steps=tuple(steps),
        ended_at=moment.ended_at,
        usage=tokens.to_usage() if tokens else None,
        error_code=life.plan.error_code if moment.status == "failed" else None,
        incomplete_reason=life.plan.reason if moment.status == "incomplete" else None,
    )
