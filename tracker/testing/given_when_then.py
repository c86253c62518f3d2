"""Sentences about the decider: given a history, when a snapshot, then events."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.core.decider import decide, fold
from tracker.core.events import Event
from tracker.core.snapshot import RunSnapshot
from tracker.testing import SourceContract as SourceContract


class Given:
    """A history so far. `given(...).when(...).then(...)` is a sentence about the decider."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = list(events)
        self.decided: list[Event] = []

    def when(self, *snapshots: RunSnapshot) -> Given:
        """Observes snapshots one after another."""
        for snapshot in snapshots:
            self.decided += decide(fold([*self._events, *self.decided]), snapshot)
        return self

    def then(self, *expected: Event | type[Event]) -> Given:
        """Fails unless exactly these were decided: events, or kinds where no more matters."""
        kinds = [
            type(event) if isinstance(kind, type) else event
            for event, kind in zip(self.decided, expected, strict=False)
        ]
        assert kinds == list(expected), f"decided {self.decided}"
        assert len(self.decided) == len(expected), f"decided {self.decided}"
        return self

    def then_nothing(self) -> Given:
        """Fails if anything was decided."""
        return self.then()


def given(*events: Event) -> Given:
    """Begins a sentence about the decider."""
    return Given(events)
