"""The contract of a projection of your own, as tests for pytest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Table, select

from projections.database.engine import open_engine
from projections.projectors.own_projections import OwnProjection
from projections.projectors.row_projection import RowProjection
from projections.projectors.run_history import RunHistory
from projections.projectors.table_values import RUN_KEY
from projections.runner.catch_up import catch_up
from projections.testing.generated_runs import random_histories
from projections.views import Views
from tracker.core.events import Event
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

_Rows = dict[tuple[object, ...], dict[str, object]]


class ProjectionContract:
    """The contract of a projection: in any batches, the rows of a plain loop over the runs.

    Subclass it with a fixture `projection`, and override `url` for a database of yours, and
    `histories` for events of yours.
    """

    def url(self, folder: Path) -> str:
        """Returns the URL of an empty database; a file in a temporary folder by default."""
        return f"sqlite:///{folder / 'contract.db'}"

    def histories(self, seed: int) -> Mapping[str, list[Event]]:
        """Returns the events of runs by their keys."""
        return random_histories(seed)

    def test_a_history_always_gives_the_same(self, projection: OwnProjection) -> None:
        histories = self.histories(0)
        assert loop(projection, histories) == loop(projection, histories)

    def test_the_projection_gives_something(self, projection: OwnProjection) -> None:
        assert any(loop(projection, self.histories(seed)) for seed in range(5))

    def test_any_batches_give_the_rows_of_a_plain_loop(
        self, projection: OwnProjection, tmp_path: Path
    ) -> None:
        with _open(self.url(tmp_path), projection) as (views, store):
            rng, histories = Random(0), self.histories(0)
            for step in _interleave(histories, rng):
                store.append([step])
                if rng.random() < 0.15:
                    _catch_up(views, store, rng.randrange(1, 9))
            views.catch_up()
            assert _read(views, projection.table) == loop(projection, histories)
            assert views.doctor().is_healthy
            assert views.verify() == []

    def test_a_rebuild_gives_the_same_rows(self, projection: OwnProjection, tmp_path: Path) -> None:
        with _open(self.url(tmp_path), projection) as (views, store):
            store.append([Append(key, 0, it) for key, it in self.histories(1).items()])
            views.catch_up()
            before = _read(views, projection.table)
            views.rebuild(projection.name)
            assert _read(views, projection.table) == before

    def test_a_prune_leaves_sums_and_open_runs(
        self, projection: OwnProjection, tmp_path: Path
    ) -> None:
        with _open(self.url(tmp_path), projection) as (views, store):
            histories = self.histories(2)
            store.append([Append(key, 0, it) for key, it in histories.items()])
            views.catch_up()
            views.prune(datetime.now(UTC))
            if isinstance(projection, RowProjection):
                histories = {
                    key: it for key, it in histories.items() if _history(key, it).outcome is None
                }
            assert _read(views, projection.table) == loop(projection, histories)
            assert views.verify() == []


def loop(projection: OwnProjection, histories: Mapping[str, list[Event]]) -> _Rows:
    """Returns the rows that a plain loop over all runs gives, by their keys."""
    if isinstance(projection, RowProjection):
        made = (
            {RUN_KEY: key, **row}
            for key, events in histories.items()
            for row in projection.rows(_history(key, events))
        )
        return _by_key(projection.table, made)
    sums: dict[tuple[object, ...], dict[str, Any]] = {}
    keys = [it.name for it in projection.table.primary_key]
    names = [it.name for it in projection.table.columns if it.name not in keys]
    for run_key, events in histories.items():
        for key, amounts in projection.amounts(_history(run_key, events)):
            row = sums.setdefault(tuple(key[it] for it in keys), {**key, **dict.fromkeys(names, 0)})
            for name, amount in amounts.items():
                row[name] += amount
    return {key: row for key, row in sums.items() if any(row[name] for name in names)}


def _history(key: str, events: Iterable[Event]) -> RunHistory:
    recorded = [RecordedEvent(at, key, at, event) for at, event in enumerate(events, 1)]
    return RunHistory(key, recorded)


def _by_key(table: Table, rows: Iterable[Mapping[str, object]]) -> _Rows:
    names = table.columns.keys()
    keys = [it.name for it in table.primary_key]
    found: _Rows = {}
    for row in rows:
        key = tuple(row[it] for it in keys)
        assert key not in found, f"two rows have the key {key}"
        found[key] = {name: row.get(name) for name in names}
    return found


@contextmanager
def _open(url: str, projection: OwnProjection) -> Iterator[tuple[Views, EventStore]]:
    store = open_event_store("memory://")
    with Views(url, store=store, projections=[projection]) as views:
        views.upgrade()
        yield views, store


def _catch_up(views: Views, store: EventStore, batch: int) -> None:
    engine = open_engine(views.url)
    try:
        catch_up(engine, store, views.projections, batch=batch)
    finally:
        engine.dispose()


def _read(views: Views, table: Table) -> _Rows:
    engine = open_engine(views.url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(table)).mappings()
            return _by_key(table, [dict(row) for row in rows])
    finally:
        engine.dispose()


def _interleave(histories: Mapping[str, list[Event]], rng: Random) -> Iterator[Append]:
    places = dict.fromkeys(histories, 0)
    while places:
        key = rng.choice(list(places))
        number = rng.randrange(1, 4)
        events = histories[key][places[key] : places[key] + number]
        yield Append(key, places[key], events)
        places[key] += number
        if places[key] >= len(histories[key]):
            del places[key]
