"""Tests of the decider as sentences: given a history, when a snapshot is observed, then events."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.core.decider import decide, fold
from tracker.core.events import Event, Look
from tracker.core.snapshot import RunSnapshot


class Given:
    """A history of events, as in `given(...).when(...).then(...)`."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = list(events)
        self.decided: list[Event] = []

    def when(self, *snapshots: RunSnapshot) -> Given:
        """Observes snapshots one after another."""
        for snapshot in snapshots:
            self.decided += decide(fold([*self._events, *self.decided]), snapshot)
        return self

    def then(self, *expected: Event | type[Event]) -> Given:
        """Fails unless exactly these were decided: events, or their classes if no field matters.

        The `asked_at` of an event matters only where it is expected.
        """
        comparable = [
            _make_comparable(event, it) for event, it in zip(self.decided, expected, strict=False)
        ]
        assert comparable == list(expected), f"decided {self.decided}"
        assert len(self.decided) == len(expected), f"decided {self.decided}"
        return self

    def then_nothing(self) -> Given:
        """Fails if anything was decided."""
        return self.then()


def _make_comparable(event: Event, expected: Event | type[Event]) -> Event | type[Event]:
    if isinstance(expected, type):
        return type(event)
    if isinstance(expected, Look) and expected.asked_at is None:
        return event.model_copy(update={"asked_at": None})
    return event


def given(*events: Event) -> Given:
    """Begins a sentence with the events so far."""
    return Given(events)
