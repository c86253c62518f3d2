"""Projections of an application: exact in any batches, and harmful to no others."""

import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from projections import RowProjection, RunHistory, SumProjection, Views
from projections.database.engine import open_engine
from projections.testing import ProjectionContract, random_histories
from projections.testing.contract import loop
from tests.support.own_projections import (
    TenantTokens,
    TenantTokens2,
    ToolTimes,
    ToolTimes2,
    histories_of,
    read_table,
    tenant_tokens,
    tool_times,
)
from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    configuration_stream,
    is_run_stream,
)
from tracker.core.snapshot import Configuration
from tracker.errors import ProjectionFailed, SchemaError, SettingsError
from tracker.event_store import Append, EventStore, open_event_store
from tracker.forgetting import forget_run

pytestmark = pytest.mark.integration

BOTH = (ToolTimes(), TenantTokens())
_RUNS = 20


def appends(histories: Mapping[str, list[Event]]) -> list[Append]:
    return [Append(key, 0, events) for key, events in histories.items()]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of an empty database on SQLite, for all that is no matter of the database."""
    return f"sqlite:///{tmp_path / 'runs.db'}"


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = open_event_store("memory://")
    store.append(appends(random_histories(7, _RUNS)))
    yield store
    store.close()


class TestRowsOfRuns(ProjectionContract):
    @pytest.fixture
    def projection(self) -> RowProjection:
        return ToolTimes()


class TestSumsOverRuns(ProjectionContract):
    @pytest.fixture
    def projection(self) -> SumProjection:
        return TenantTokens()


class TestSumsOnPostgres(TestSumsOverRuns):
    @pytest.fixture(autouse=True)
    def _use_database(self, postgres_db: str) -> None:
        self._url = postgres_db

    def url(self, folder: Path) -> str:
        return self._url


def test_the_examples_are_short() -> None:
    for example, lines in ((ToolTimes, 8), (TenantTokens, 8)):
        assert len(inspect.getsource(example).splitlines()) + lines < 30


def test_a_new_version_is_rebuilt_with_its_new_columns(
    database_url: str, store: EventStore
) -> None:
    with Views(database_url, store=store, projections=BOTH) as views:
        views.upgrade()
        views.catch_up()
        assert read_table(database_url, tool_times) == loop(ToolTimes(), histories_of(store))
        newer = (ToolTimes2(), TenantTokens2())
        with Views(database_url, store=store, projections=newer) as upgraded:
            assert {it.name: it.state for it in upgraded.doctor().projections}[
                "tool_times"
            ] == "outdated"
            upgraded.catch_up()
            assert read_table(database_url, ToolTimes2.table) == loop(
                ToolTimes2(), histories_of(store)
            )
            assert read_table(database_url, tenant_tokens) == loop(
                TenantTokens2(), histories_of(store)
            )
            assert upgraded.verify() == []
        store.append(appends({"assistants:new": random_histories(3, 1)["assistants:run_0"]}))
        # The older version keeps all other tables in step, and says which it leaves out.
        with pytest.raises(SchemaError, match="newer"):
            views.catch_up()
        assert views.run("assistants:new").run_key == "assistants:new"
        assert read_table(database_url, ToolTimes2.table) == loop(
            ToolTimes2(), {k: v for k, v in histories_of(store).items() if k != "assistants:new"}
        )


class Picky(ToolTimes):
    """A projection that cannot take some runs."""

    refused: frozenset[str] = frozenset(("assistants:run_3", "assistants:run_5"))

    def rows(self, run: RunHistory) -> Iterator[Mapping[str, object]]:
        if run.run_key in self.refused:
            raise KeyError("a bug of the application")
        yield from super().rows(run)


def test_a_run_that_a_function_refuses_is_set_aside_for_that_table_alone(
    database_url: str, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "runfold.projections"),
        Views(database_url, store=store, projections=(Picky(), TenantTokens())) as views,
    ):
        views.upgrade()
        views.catch_up()
        assert {it.run_key for it in views.doctor().set_aside} == Picky.refused
        assert {it.projections for it in views.doctor().set_aside} == {("tool_times",)}
        assert "a bug of the application" in caplog.text
        assert "Traceback" in caplog.text
        good = {k: v for k, v in histories_of(store).items() if k not in Picky.refused}
        assert read_table(database_url, tool_times) == loop(ToolTimes(), good)
        assert read_table(database_url, tenant_tokens) == loop(TenantTokens(), histories_of(store))
        assert len(views.runs(limit=None)) == _RUNS
        assert views.verify() == []
        # Their later events are left out, those of all others are not.
        more = random_histories(7, _RUNS + 1)
        last_key = f"assistants:run_{_RUNS}"
        store.append(appends({last_key: more[last_key]}))
        last = store.read("assistants:run_3")[-1]
        store.append([Append("assistants:run_3", last.version, [_metadata_changed(last.event)])])
        views.catch_up()
        assert read_table(database_url, tenant_tokens) == loop(TenantTokens(), histories_of(store))
        assert views.verify() == []
    with Views(database_url, store=store, projections=BOTH) as views:
        assert views.retry().completed == 2
        assert views.doctor().is_healthy
        assert read_table(database_url, tool_times) == loop(ToolTimes(), histories_of(store))
        assert views.verify() == []


def _metadata_changed(after: Event) -> Event:
    from tracker.core.events import RunMetadataChanged

    moment = after.observed_at + timedelta(seconds=9)
    return RunMetadataChanged(observed_at=moment, previous={}, metadata={"tenant": "moved"})


def test_a_configuration_in_a_batch_is_no_run(url: str, store: EventStore) -> None:
    with Views(url, store=store, projections=BOTH) as views:
        views.upgrade()
        views.catch_up()
        # A later event of a known run, in one batch with the first sight of a configuration.
        last = store.read("assistants:run_3")[-1]
        known = Append("assistants:run_3", last.version, [_metadata_changed(last.event)])
        configuration = ConfigurationRecorded(
            observed_at=last.event.observed_at, digest="0f", configuration=Configuration()
        )
        store.append([Append(configuration_stream("0f"), 0, [configuration]), known])
        views.catch_up()
        assert [it.reason for it in views.doctor().set_aside] == []
        everything = {it: events for it, events in histories_of(store).items() if is_run_stream(it)}
        assert read_table(url, tenant_tokens) == loop(TenantTokens(), everything)
        assert views.verify() == []


def _loose(name: str, *columns: Column[Any]) -> Table:
    return Table(name, MetaData(), Column("run_key", Text, primary_key=True), *columns)


class Wrong(RowProjection):
    """Rows that the table does not take."""

    name, table = "wrong", _loose("wrong", Column("number", Integer, nullable=False))

    def __init__(self, row: Mapping[str, object]) -> None:
        self.row = row

    def rows(self, run: RunHistory) -> Iterable[Mapping[str, object]]:
        return [self.row]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"number": "one"}, "takes int"),
        ({"nummer": 1}, "no such columns"),
        ({"number": 1, "run_key": "another"}, "was made of the run"),
        ({"number": None}, "refuses a row"),
        ({}, "refuses a row"),
    ],
)
def test_rows_that_the_table_does_not_take(
    url: str, row: Mapping[str, object], reason: str
) -> None:
    store = open_event_store("memory://")
    store.append(appends(random_histories(1, 2)))
    with Views(url, store=store, projections=(Wrong(row), *BOTH)) as views:
        views.upgrade()
        views.catch_up()
        found = views.doctor().set_aside
        assert len(found) == 2
        assert all(reason in it.reason and it.projections == ("wrong",) for it in found)
        assert read_table(url, tool_times) == loop(ToolTimes(), histories_of(store))
        assert views.verify() == []


def test_a_table_that_is_gone_harms_no_other(database_url: str, store: EventStore) -> None:
    with Views(database_url, store=store, projections=BOTH) as views:
        views.upgrade()
        views.catch_up()
        store.append(appends({"assistants:new": random_histories(3, 1)["assistants:run_0"]}))
        engine = open_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE tool_times"))
        engine.dispose()
        with pytest.raises(ProjectionFailed, match="tool_times"):
            views.catch_up()
        assert views.run("assistants:new").run_key == "assistants:new"
        assert read_table(database_url, tenant_tokens) == loop(TenantTokens(), histories_of(store))
    with (
        Views(database_url, store=store, projections=BOTH) as views,
        pytest.raises(SchemaError, match=r"Views\.upgrade"),
    ):
        views.catch_up()
    with Views(database_url, store=store, projections=BOTH) as views:
        views.upgrade()
        views.rebuild("tool_times")
        assert read_table(database_url, tool_times) == loop(ToolTimes(), histories_of(store))


def test_earlier_states_exports_and_forgotten_runs(
    url: str, store: EventStore, tmp_path: Path
) -> None:
    with Views(url, store=store, projections=BOTH) as views:
        views.upgrade()
        views.catch_up()
        rows = read_table(url, tool_times)
        assert views.export("tool_times", tmp_path / "all.jsonl") == len(rows)
        assert views.export_all(tmp_path / "tables")["tenant_tokens"] > 0
        with views.as_of(store.last_position() // 2) as past:
            assert past.export("tool_times", tmp_path / "past.jsonl") < len(rows)
        key = next(iter(rows))[0]
        forget_run(store, key, force=True)
        views.remove_runs([key])
        kept = {it: row for it, row in rows.items() if it[0] != key}
        assert read_table(url, tool_times) == kept


@pytest.mark.parametrize(
    ("projection", "message"),
    [
        (ToolTimes, "pass an instance"),
        (type("A", (ToolTimes,), {"name": "runs"})(), "two projections are named"),
        (type("B", (ToolTimes,), {"version": 0})(), "from 1"),
        (type("C", (ToolTimes,), {"table": None})(), "SQLAlchemy Table"),
        (type("D", (ToolTimes,), {"table": _loose("runs")})(), "belongs to another"),
        (type("E", (ToolTimes,), {"table": tenant_tokens})(), "run_key"),
        (type("F", (TenantTokens,), {"table": tool_times})(), "RowProjection"),
        (
            type(
                "G",
                (TenantTokens,),
                {
                    "table": Table(
                        "g", MetaData(), Column("k", Text, primary_key=True), Column("x", Float)
                    )
                },
            )(),
            "integers",
        ),
        (
            type(
                "H",
                (ToolTimes,),
                {
                    "table": Table(
                        "h",
                        MetaData(),
                        Column("x", BigInteger),
                        Column("run_key", Text, primary_key=True),
                    )
                },
            )(),
            "come first",
        ),
        (type("I", (ToolTimes,), {"table": _loose("a b")})(), "letters"),
    ],
)
def test_what_is_no_projection(projection: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Views("sqlite:///none.db", projections=[projection])


@pytest.mark.parametrize(("kind", "name"), [(RowProjection, "rows"), (SumProjection, "amounts")])
def test_a_projection_without_its_function_is_not_made(kind: type[Any], name: str) -> None:
    with pytest.raises(TypeError, match=name):
        type("Bare", (kind,), {"name": "bare", "table": tool_times})()


def test_several_runners_apply_each_event_once(database_url: str) -> None:
    store = open_event_store(database_url)
    histories = random_histories(9, 15)
    with Views(database_url, projections=BOTH) as views:
        views.upgrade()
    for key, events in histories.items():
        store.append([Append(key, 0, events)])

    def catch_up_alone(_: int) -> None:
        with Views(database_url, projections=BOTH) as views:
            views.catch_up()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(catch_up_alone, range(3)))
    assert read_table(database_url, tool_times) == loop(ToolTimes(), histories)
    assert read_table(database_url, tenant_tokens) == loop(TenantTokens(), histories)
    store.close()


def test_new_versions_with_other_columns_and_named_constraints(
    database_url: str, store: EventStore
) -> None:
    def make(version: int, *more: Column[Any]) -> RowProjection:
        table = Table(
            "named",
            MetaData(),
            Column("run_key", Text, primary_key=True),
            *more,
            UniqueConstraint("run_key", name="only_one"),
        )
        row = {it.name: 1 for it in more}
        kind = {"name": "named", "version": version, "table": table, "rows": lambda _s, _r: [row]}
        found: RowProjection = type("Named", (RowProjection,), kind)()
        return found

    for version, names in enumerate((("a",), ("a", "b"), ("b",), ("b",)), 1):
        projection = make(version, *(Column(it, Integer) for it in names))
        with Views(database_url, store=store, projections=[projection]) as views:
            views.upgrade()
            views.catch_up()
            rows = read_table(database_url, projection.table)
            assert len(rows) == _RUNS
            assert {tuple(it) for it in rows.values()} == {("run_key", *names)}


def test_names_that_sql_reserves(database_url: str, store: EventStore) -> None:
    order = Table(
        "order",
        MetaData(),
        Column("group", Text, primary_key=True),
        Column("Select", BigInteger, nullable=False),
    )

    class Ordered(SumProjection):
        name, table = "order", order

        def amounts(
            self, run: RunHistory
        ) -> Iterable[tuple[Mapping[str, object], Mapping[str, int]]]:
            return [({"group": run.status}, {"Select": 1})]

    with Views(database_url, store=store, projections=[Ordered()]) as views:
        views.upgrade()
        views.catch_up()
        views.rebuild("order")
        assert read_table(database_url, order) == loop(Ordered(), histories_of(store))
        assert views.verify() == []


def test_histories_at_each_of_their_events(url: str) -> None:
    store = open_event_store("memory://")
    histories = random_histories(5, 12)
    store.append(appends(histories))
    with Views(url, store=store) as views:
        views.upgrade()
        views.catch_up()
        for key, events in list(histories.items())[:4]:
            history = views.history(key)
            assert history.run == replace(views.run(key), total_dollars=None)
            assert list(history.phases) == views.phases(key)
            assert list(history.actions) == views.actions(key)
            assert list(history.steps) == views.steps(key)
            assert [it.event for it in history.events] == events
            assert [it.version for it in history.replay()] == list(range(1, len(events) + 1))
            assert history.at(datetime.now(UTC)).run == history.run
            assert history.at(1).state.status == "queued"
            assert history.diff(1, 1).run == {}
            if len(events) > 2:
                found = history.diff(1, len(events))
                assert found.events == history.events[1:]
                assert found.run["version"] == (1, len(events))
                assert found.phases
            with pytest.raises(SettingsError, match="events, not"):
                history.at(len(events) + 1)
            with pytest.raises(AttributeError):
                history.run_key = "x"
        assert views.history("run_0").run_key == "assistants:run_0"


def test_folds_of_ones_own(url: str) -> None:
    from projections import fold

    store = open_event_store("memory://")
    histories = random_histories(5, 12)
    store.append(appends(histories))
    with Views(url, store=store) as views:
        views.upgrade()
        number = sum(map(len, histories.values()))
        assert views.fold(lambda count, _: count + 1, 0) == number
        assert views.fold(lambda count, _: count + 1, 0, since=number - 3) == 3
        moments = sorted(it.observed_at for events in histories.values() for it in events)
        after = sum(it >= moments[20] for it in moments)
        assert views.fold(lambda count, _: count + 1, 0, since=moments[20]) == after
        history = views.history("assistants:run_0")
        assert fold(history, 0, lambda count, _: count + 1) == len(history.events)
        with pytest.raises(SettingsError, match="time zone"):
            views.fold(lambda count, _: count, 0, since=datetime(2026, 1, 1))  # noqa: DTZ001
