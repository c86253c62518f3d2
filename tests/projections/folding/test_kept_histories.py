"""Histories of long runs: kept between batches, and never those of another life of the run."""

from collections.abc import Sequence

import pytest

from projections import Views
from projections.runner.catch_up import catch_up
from projections.views import PROJECTIONS
from tests.support.reference_fold import open_migrated, read_tables
from tests.support.run_builder import created, second, started
from tracker.core import events as e
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

pytestmark = pytest.mark.integration

KEY = "assistants:run_1"


class CountingStore:
    """An event store that counts the events that are read."""

    def __init__(self, store: EventStore) -> None:
        self._store, self.read_events = store, 0

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        return self._count(self._store.read_all(after, limit))

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return self._count(self._store.read(stream, after))

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        found = self._store.read_many(streams)
        self._count([it for events in found.values() for it in events])
        return found

    def _count(self, found: list[RecordedEvent]) -> list[RecordedEvent]:
        self.read_events += len(found)
        return found

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def step(number: int, kind: str = "t") -> e.RunStepRecorded:
    return e.RunStepRecorded(
        observed_at=second(10 + number),
        step_id=f"step_{number}",
        type=kind,
        status="completed",
        created_at=second(5 + number),
        ended_at=second(6 + number),
    )


def append_long_run(store: EventStore, number: int) -> None:
    steps = [step(it) for it in range(number)]
    store.append([Append(KEY, 0, [created(), started(4, 2, 1), *steps])])


def test_a_look_at_a_long_run_reads_only_its_last_events(database_url: str) -> None:
    counting = CountingStore(store := open_event_store("memory://"))
    append_long_run(store, 5000)
    events: EventStore = counting  # type: ignore[assignment]
    with Views(database_url, store=events) as views:
        views.upgrade()
        views.catch_up()
        counting.read_events = 0
        for number in range(5000, 5003):
            store.append([Append(KEY, number + 2, [step(number)])])
            assert views.catch_up() == 1
        assert counting.read_events < 20
        assert len(views.steps("run_1")) == 5003
        assert views.verify() == []


def test_a_run_that_was_forgotten_and_began_again(database_url: str) -> None:
    engine, store = open_migrated(database_url), open_event_store("memory://")
    append_long_run(store, 200)
    with Views(database_url, store=store) as views:
        views.catch_up()
        store.forget([KEY])
        views.remove_runs([KEY])
        # Another process applies its new life, up to the version that is kept here.
        store.append([Append(KEY, 0, [created(model="another")])])
        store.append([Append(KEY, 1, [started(4, 2, 1), *(step(it) for it in range(200))])])
        catch_up(engine, store, PROJECTIONS)
        store.append([Append(KEY, 202, [step(200)])])
        views.catch_up()
        assert views.run("run_1").model == "another"
        assert len(read_tables(engine)["run_steps"]) == 201
    engine.dispose()
