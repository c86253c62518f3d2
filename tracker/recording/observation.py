"""Observations of runs, and the results of recording them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Self

from tracker.core.decider import decide
from tracker.core.events import Event, run_stream
from tracker.core.other_decisions import decide_continuation, decide_steps
from tracker.core.snapshot import Configuration, RunSnapshot, StepSnapshot
from tracker.core.state import RunState

Decide = Callable[[RunState], list[Event]]


class Observation(NamedTuple):
    """News of one run, as the decision that it leads to once the run's state is loaded."""

    stream: str
    decide: Decide
    configuration: Configuration | None = None
    # True if it ends a wait for an action. It may arrive before that wait is observed.
    resolves_action: bool = False
    # True if it says something only of a known run, and may arrive before that run is observed.
    awaits_run: bool = False
    peculiarities: frozenset[str] = frozenset()
    # The version of the run that was known when the snapshot was asked for: see `decide`.
    known: int | None = None

    @classmethod
    def of(cls, snapshot: RunSnapshot, known: int | None = None) -> Self:
        """Returns the observation of a snapshot; `known` is that of `decide`."""
        return cls(
            run_stream(snapshot.source, snapshot.run_id),
            lambda state: decide(state, snapshot, known),
            snapshot.configuration,
            peculiarities=snapshot.peculiarities,
            known=known,
        )

    @classmethod
    def of_known(cls, snapshot: RunSnapshot, known: int | None = None) -> Self:
        """Returns the observation of a snapshot that adds nothing to a run that was forgotten."""
        return cls.of(snapshot, known)._replace(
            decide=lambda state: [] if state.status is None else decide(state, snapshot, known)
        )

    @classmethod
    def of_step(
        cls,
        source: str,
        run_id: str,
        thread_id: str | None,
        step: StepSnapshot,
        observed_at: datetime,
    ) -> Self:
        """Returns the observation of a step of a run on a thread."""
        return cls(
            run_stream(source, run_id),
            lambda state: decide_steps(state, [step], observed_at, thread_id),
            awaits_run=True,
            peculiarities=step.peculiarities,
        )

    @classmethod
    def of_predecessor(cls, snapshot: RunSnapshot) -> Self | None:
        """Returns the observation of the run that a snapshot's run continues: its wait is over.

        None if the snapshot continues no run.
        """
        if snapshot.continues is None:
            return None
        # The decision may wait for a later observation: it holds two times, and no document.
        created_at, observed_at = snapshot.created_at, snapshot.observed_at
        return cls(
            run_stream(snapshot.source, snapshot.continues),
            lambda state: decide_continuation(state, created_at, observed_at),
            resolves_action=True,
        )


class RecordResult(NamedTuple):
    """The result of one observation: the run's stream and state, and the events that were added."""

    stream: str
    state: RunState
    events: Sequence[Event]
    # True if other news of the run was recorded after its snapshot was asked for: a part of what
    # the snapshot shows may be missing, and only a later look can tell.
    is_overtaken: bool = False
