"""A batch of observations that is being recorded, with the results so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tracker.core.events import Event
from tracker.recording.head_cache import Head
from tracker.recording.observation import Observation, RecordResult


@dataclass(slots=True)
class Change:
    """The change of one stream: its head before and after, and the events between."""

    stream: str
    before: Head
    after: Head
    # The observations with their places in the batch, and their results once it is recorded.
    observations: list[tuple[int, Observation]] = field(default_factory=list)
    results: list[tuple[int, RecordResult]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Batch:
    """Observations and their results, None for those that are not recorded yet."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self.observations = observations
        self.results: list[RecordResult | Exception | None] = [None] * len(observations)
        # Changes that were written when the database failed: they may be recorded, or not.
        self.unconfirmed: dict[str, Change] = {}

    @property
    def waiting(self) -> list[tuple[int, Observation]]:
        """The observations without a result, with their places."""
        return [
            (place, observation)
            for place, observation in enumerate(self.observations)
            if self.results[place] is None
        ]

    def accept(self, change: Change) -> None:
        """Takes the results of a change that is recorded."""
        for place, result in change.results:
            self.results[place] = result

    def fail(self, error: Exception) -> None:
        """Takes an error as the result of all observations without one."""
        for place, _ in self.waiting:
            self.results[place] = error
