"""The history of one run: a typed, frozen view of the run as its events tell it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import takewhile, zip_longest
from typing import Any, NoReturn, Self, TypeVar

from projections.folding import status_trace
from projections.folding.actions import action_rows
from projections.folding.costs import price_run
from projections.folding.json_text import read_json
from projections.folding.micros import moment_of
from projections.folding.phases import phase_rows
from projections.folding.rates import PriceList, dollars
from projections.folding.run_row import RunTrace, row_values
from projections.folding.status_trace import Measured
from projections.projectors.steps import step_values
from projections.row_types import ActionRow, PhaseRow, RunRow, StepRow, field_names
from tracker.core.events import RunStepRecorded, Unreadable
from tracker.core.state import RunState, evolve, initial_state
from tracker.core.usage import TOKEN_COUNTS, Usage
from tracker.errors import SettingsError, ViewsError
from tracker.event_store.store import RecordedEvent

T = TypeVar("T")

_RUN_FIELDS = field_names(RunRow)
_JSON_FIELDS = ("metadata", "thread_usage")


@dataclass(frozen=True, slots=True)
class HistoryDiff:
    """The difference between two places of a history."""

    # The events after the earlier one, up to the later one.
    events: tuple[RecordedEvent, ...]
    # By the names of columns of `runs`: the values at the one place and at the other.
    run: dict[str, tuple[Any, Any]]
    # Phases and actions that differ, at the one place and at the other; None: not there.
    phases: tuple[tuple[PhaseRow | None, PhaseRow | None], ...]
    actions: tuple[tuple[ActionRow | None, ActionRow | None], ...]


class RunHistory:
    """A run as its events tell it, up to one of them. Typed and frozen.

    Rows are those of the tables, with times in UTC and durations in seconds with their bounds.
    `events` are the recorded ones, oldest first. Everything is calculated on first use. Raises
    ViewsError where an event cannot be read.
    """

    run_key: str

    def __init__(
        self,
        run_key: str,
        events: Sequence[RecordedEvent] | Callable[[], Sequence[RecordedEvent]],
        *,
        prices: PriceList | None = None,
    ) -> None:
        self.__dict__.update(run_key=run_key, _source=events, _prices=prices)

    @classmethod
    def of_folded(
        cls,
        run_key: str,
        events: Callable[[], Sequence[RecordedEvent]],
        measured: Measured,
        values: Sequence[Any],
        prices: PriceList | None,
    ) -> Self:
        """Returns the history of a run that is folded already."""
        history = cls(run_key, events, prices=prices)
        history.__dict__.update(_measured=measured, _values=values)
        return history

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a history is frozen: {name!r} cannot be set")

    def __repr__(self) -> str:
        return f"RunHistory({self.run_key!r})"

    @cached_property
    def events(self) -> tuple[RecordedEvent, ...]:
        """The events, oldest first, each with its position and its version."""
        source = self.__dict__["_source"]
        return tuple(source() if callable(source) else source)

    @property
    def version(self) -> int:
        """The number of events."""
        return self.run.version

    @cached_property
    def run(self) -> RunRow:
        """The row of the run, as in the table `runs`: identity, status, times and durations."""
        values = dict(zip(_RUN_FIELDS, self._values, strict=False))
        for name in _RUN_FIELDS:
            if name.endswith("_at"):
                values[name] = moment_of(values[name])
        for name in _JSON_FIELDS:
            values[name] = None if values[name] is None else read_json(values[name])
        return RunRow(**values)

    @property
    def source(self) -> str:
        """The name of the source."""
        return self.run.source

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.run.run_id

    @property
    def status(self) -> str:
        """The last known status, or `vanished`."""
        return self.run.status

    @property
    def outcome(self) -> str | None:
        """The status of the end; None while the run is open."""
        return self.run.outcome

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata as last told."""
        return self.run.metadata

    @cached_property
    def state(self) -> RunState:
        """The state by which a tracker decides."""
        state = initial_state
        for recorded in self._readable_events():
            state = evolve(state, recorded.event)
        return state

    @cached_property
    def phases(self) -> tuple[PhaseRow, ...]:
        """The phases with their bounds, first to last."""
        return tuple(
            PhaseRow(*it[:3], *map(moment_of, it[3:5]), *it[5:])
            for it in phase_rows(self.run_key, self._measured)
        )

    @cached_property
    def actions(self) -> tuple[ActionRow, ...]:
        """The calls that the run waited for, by pause."""
        return tuple(
            ActionRow(*it[:6], *map(moment_of, it[6:8]), *it[8:])
            for it in sorted(action_rows(self.run_key, self._measured), key=lambda it: it[:3])
        )

    @cached_property
    def steps(self) -> tuple[StepRow, ...]:
        """The recorded steps, in the order of their creation."""
        found: dict[str, StepRow] = {}
        for recorded in self._readable_events():
            if isinstance(recorded.event, RunStepRecorded):
                it = step_values(self.run_key, recorded.event)
                it[4:7] = json.loads(it[4]), *map(moment_of, it[5:7])
                found[it[1]] = StepRow(*it)
        return tuple(
            sorted(
                found.values(),
                key=lambda it: (it.created_at is None, it.created_at or 0, it.step_id),
            )
        )

    @property
    def usage(self) -> Usage | None:
        """The tokens of the run; None where none are told."""
        counts = {name: getattr(self.run, name) for name in TOKEN_COUNTS}
        if all(it is None for it in counts.values()):
            return None
        return Usage(**counts, service_tier=self.run.service_tier)

    @cached_property
    def cost(self) -> Decimal | None:
        """The dollars of an ended run at the prices of the views; None without a price.

        Raises SettingsError if there are no prices. A projection of yours may ask for it with
        `is_priced`; it is then rebuilt by `Views.rebuild(NAME, reprice=True)` for other prices.
        """
        prices: PriceList | None = self.__dict__["_prices"]
        if prices is None:
            raise SettingsError(
                'a cost needs prices: pip install "runfold[cost]", and set `is_priced` in a '
                "projection of yours"
            )
        if self.outcome is None:
            return None
        _, *parts = price_run(self._values, prices)
        return None if parts[0] is None else dollars(sum(it or 0 for it in parts))

    def at(self, place: datetime | int) -> RunHistory:
        """Returns the run as it was known at a moment, or after so many of its events.

        Raises SettingsError for a moment without a time zone, or where there is no event by then.
        """
        if isinstance(place, datetime):
            if place.utcoffset() is None:
                raise SettingsError(f"a moment needs a time zone: {place.isoformat()} has none")
            events = tuple(takewhile(lambda it: it.event.observed_at <= place, self.events))
        else:
            events = self.events[: max(place, 0)]
            if len(events) != place:
                raise SettingsError(f"{self.run_key} has {len(self.events)} events, not {place}")
        if not events:
            raise SettingsError(f"{self.run_key} has no event by {place}")
        return RunHistory(self.run_key, events, prices=self.__dict__["_prices"])

    def replay(self) -> Iterator[RunHistory]:
        """Yields the history after each of its events, first to last."""
        for number in range(1, len(self.events) + 1):
            yield self.at(number)

    def diff(self, one: datetime | int, other: datetime | int) -> HistoryDiff:
        """Returns what is different at two places, from the one to the other. Raises as `at`."""
        here, there = self.at(one), self.at(other)
        between = sorted((len(here.events), len(there.events)))
        fields = ((name, getattr(here.run, name), getattr(there.run, name)) for name in _RUN_FIELDS)
        return HistoryDiff(
            self.events[slice(*between)],
            {name: (before, after) for name, before, after in fields if before != after},
            _differing(here.phases, there.phases),
            _differing(here.actions, there.actions),
        )

    @cached_property
    def _measured(self) -> Measured:
        return self._trace.measure()

    @cached_property
    def _values(self) -> Sequence[Any]:
        return row_values(self._trace, self._measured)

    @cached_property
    def _trace(self) -> RunTrace:
        trace = RunTrace(self.run_key)
        for recorded in self._readable_events():
            try:
                status_trace.fold(trace, recorded)
            except (TypeError, ValueError) as error:
                raise ViewsError(
                    f"version {recorded.version} of {self.run_key} cannot be applied: {error}"
                ) from error
        return trace

    def _readable_events(self) -> Iterator[RecordedEvent]:
        for recorded in self.events:
            if isinstance(recorded.event, Unreadable):
                raise ViewsError(
                    f"version {recorded.version} of {self.run_key} cannot be read: "
                    f"{recorded.event.reason}; `history.at({recorded.version - 1})` leaves it out"
                )
            yield recorded


def fold(history: RunHistory, initial: T, step: Callable[[T, RecordedEvent], T]) -> T:
    """Returns a state of your own after all events of a run: `step` is called for each."""
    state = initial
    for recorded in history.events:
        state = step(state, recorded)
    return state


def _differing(one: Sequence[T], other: Sequence[T]) -> tuple[tuple[T | None, T | None], ...]:
    pairs = zip_longest(one, other)
    return tuple((before, after) for before, after in pairs if before != after)
