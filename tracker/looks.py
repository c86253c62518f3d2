"""Looks: what is learnt about one run, to be decided on when its history is known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tracker.core.decider import decide
from tracker.core.events import Event, run_stream
from tracker.core.facts import decide_continued
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.core.state import RunState

Decide = Callable[[RunState], list[Event]]


class Look(NamedTuple):
    """Something learnt about one run, and what it means given what is known.

    What `ends_a_wait` may be learnt before the wait is seen, and is then kept in mind for it.
    `peculiarities` are those of the snapshot.
    """

    stream: str
    decide: Decide
    configuration: Configuration | None = None
    ends_a_wait: bool = False
    peculiarities: frozenset[str] = frozenset()


class Observed(NamedTuple):
    """What came of one look: the events it added, and the run's state after them."""

    state: RunState
    events: Sequence[Event]


def look(snapshot: RunSnapshot) -> Look:
    """The look that a snapshot is."""
    return Look(
        run_stream(snapshot.source, snapshot.run_id),
        lambda state: decide(state, snapshot),
        snapshot.configuration,
        peculiarities=snapshot.peculiarities,
    )


def continued(snapshot: RunSnapshot) -> Look | None:
    """The look at the run that a snapshot's run goes on from: it waits for nothing any more."""
    if snapshot.continues is None:
        return None
    return Look(
        run_stream(snapshot.source, snapshot.continues),
        lambda state: decide_continued(state, snapshot.created_at, snapshot.observed_at),
        ends_a_wait=True,
    )
