"""What runs cost: exact, at the prices of their time, and right after each correction."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from projections import Prices, Views
from projections.costs_projection import CostsProjection
from projections.engine import open_engine
from projections.queries import CostRow, UnpricedRow
from projections.rates import Rate, Rates
from projections.rebuild import rebuild
from projections.replay import Until
from projections.schema import cost_hourly, cost_totals, run_costs, runs
from projections.shadows import Shadowed
from tests.costs import FIRST, PriceList, cost_tables, priced
from tests.stories import BIRTH, created, ended, second, started
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.errors import SettingsError
from tracker.event_store import Append, EventStore, open_event_store

TWICE = Rates("fake/large", Rate(Decimal(4)), Rate(Decimal(16)), Rate(Decimal(1)))
USED = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=400, reasoning_tokens=50)
# (600 * 2 + 400 * 0.5) / 1e6 and 100 * 8 / 1e6.
COST = (Decimal("0.0014"), Decimal("0.0008"), Decimal("0.0022"))
DOUBLED = tuple(2 * it for it in COST)


def put(store: EventStore, run_id: str, usage: Usage | None, **first: Any) -> None:
    first = {"run_id": run_id, "model": "small", **first}
    end = ended(first.pop("end", e.RunCompleted), 20, stamp=19, since=8, usage=usage)
    story = [created(**first), started(2, stamp=1, since=1), end]
    store.append([Append(f"assistants:{run_id}", 0, story)])


def correct(store: EventStore, run_id: str, usage: Usage, version: int = 3) -> None:
    reported = e.RunUsageReported(observed_at=second(90), usage=usage)
    store.append([Append(f"assistants:{run_id}", version, [reported])])


def opened(url: str, store: EventStore, prices: PriceList) -> Views:
    views = Views(url, store=store, prices=prices)
    views.upgrade()
    views.catch_up()
    return views


def money(row: CostRow) -> tuple[Decimal | None, ...]:
    return row[4:7]


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = open_event_store("memory://")
    yield store
    store.close()


@pytest.fixture
def views(database_url: str, store: EventStore) -> Iterator[Views]:
    """Two runs that are priced, a failed one, one without usage, two of unknown models."""
    put(store, "a", USED, thread_id="thread_1", assistant_id="asst_1")
    put(store, "b", USED, occurred_at=second(86_400))
    put(store, "c", Usage(prompt_tokens=0, completion_tokens=0), end=e.RunFailed)
    put(store, "d", None, end=e.RunCancelled)
    put(store, "e", USED, model="mystery")
    put(store, "f", USED, model=None)
    store.append([Append("assistants:g", 0, [created(run_id="g", model="small")])])
    with opened(database_url, store, priced("small")) as views:
        yield views


def test_costs_of_groups(views: Views) -> None:
    by_model = {row.group["model"]: row for row in views.cost()}
    assert by_model["small"][1:4] == (4, 1, 0)
    assert money(by_model["small"]) == tuple(2 * it for it in COST)
    assert by_model["small"].price_versions == ("fake 1",)
    for unknown in ("mystery", None):
        assert by_model[unknown][1:7] == (1, 0, 1, None, None, None)
    by_outcome = {row.group["outcome"]: money(row) for row in views.cost(by="outcome")}
    assert by_outcome["failed"] == (0, 0, 0)
    assert by_outcome["cancelled"] == (None, None, None)
    assert views.cost(by=None)[0].runs == 6


def test_costs_by_time_and_by_what_no_rollup_knows(views: Views) -> None:
    days = views.cost(by=("day", "model"), tz="Asia/Kolkata", until=second(100_000))
    assert [(*row.group.values(), row.total_dollars) for row in days] == [
        (date(2026, 1, 1), "mystery", None),
        (date(2026, 1, 1), "small", COST[2]),
        (date(2026, 1, 1), None, None),
        (date(2026, 1, 2), "small", COST[2]),
    ]
    # A part of a quarter of an hour is read run by run.
    cut = views.cost(by="model", since=second(-1), until=second(1))
    assert [(row.group["model"], *row[1:4], row.total_dollars) for row in cut] == [
        ("mystery", 1, 0, 1, None),
        ("small", 3, 1, 0, COST[2]),
        (None, 1, 0, 1, None),
    ]
    threads = {row.group["thread_id"]: row for row in views.cost(by="thread_id")}
    assert money(threads["thread_1"]) == COST
    assert threads[None][1:4] == (5, 1, 2)
    users = views.cost(by=("metadata.user", "day"), since=BIRTH)
    assert [(row.runs, row.unpriced_runs, money(row)) for row in users] == [
        (5, 2, COST),
        (1, 0, COST),
    ]
    assert views.cost(since=second(900_000)) == []


def test_what_has_no_price_is_named(views: Views) -> None:
    assert views.unpriced() == [
        UnpricedRow("assistants", None, 1),
        UnpricedRow("assistants", "mystery", 1),
    ]
    assert views.cost().to_arrow().num_rows == views.unpriced().to_polars().height + 1


def test_costs_of_the_past(views: Views, store: EventStore) -> None:
    correct(store, "a", Usage(completion_tokens=200))
    views.catch_up()
    before = store.last_position() - 1
    assert views.cost(by="model", until=second(1))[1].total_dollars == COST[2] + COST[1]
    with views.as_of(before) as past:
        assert past.cost(by="model", until=second(1))[1].total_dollars == COST[2]


def test_a_correction_moves_the_sums_by_the_difference(views: Views, store: EventStore) -> None:
    correct(store, "a", Usage(prompt_tokens=1100, cached_tokens=0))
    correct(store, "d", USED)
    correct(store, "e", Usage(completion_tokens=7))
    views.catch_up()
    by_outcome = {row.group["outcome"]: row for row in views.cost(by=("outcome", "model"))}
    assert money(by_outcome["cancelled"]) == COST
    assert views.cost(by="thread_id")[0].input_dollars == Decimal("0.0022")
    assert views.verify() == []


def test_prices_are_those_of_the_creation(database_url: str, store: EventStore) -> None:
    change = second(3600)
    put(store, "before", USED, occurred_at=change - timedelta(seconds=1))
    put(store, "after", USED, occurred_at=change)
    prices = PriceList({"small": [(BIRTH, FIRST), (change, TWICE)]})
    with opened(database_url, store, prices) as views:
        hours = views.cost(by="hour")
    assert [money(row) for row in hours] == [COST, DOUBLED]


def test_new_prices_count_from_then_on_and_a_rebuild_makes_them_count_for_all(
    database_url: str, store: EventStore
) -> None:
    put(store, "a", USED)
    put(store, "b", USED)
    put(store, "silent", None)
    opened(database_url, store, priced("small")).close()
    put(store, "c", USED)
    with opened(database_url, store, priced("small", TWICE, "fake 2")) as views:
        assert views.cost(by=None)[0].price_versions == ("fake 1", "fake 2")
        assert views.cost(by=None)[0].total_dollars == 2 * COST[2] + DOUBLED[2]
        assert views.verify() == []
        # What it was counted as is taken away from where it was counted.
        correct(store, "a", Usage(cached_tokens=0))
        views.catch_up()
        [all_] = views.cost(by=None)
        assert all_.total_dollars == COST[2] + DOUBLED[2] + Decimal("0.004") + Decimal("0.0016")
        assert all_.runs == 4
        assert views.verify() == []
        correct(store, "b", Usage(cached_tokens=300))
        views.catch_up()
        # The one that is left there has no usage, and says no more than it did.
        assert version_rows(database_url)["fake 1"] == (1, 1, 0, None, None)
        correct(store, "silent", USED)
        views.catch_up()
        assert set(version_rows(database_url)) == {"fake 2"}
        assert views.verify() == []
        once = views.cost(by="model")
        views.rebuild("costs")
        assert views.cost(by="model") == once


def version_rows(url: str) -> dict[str, tuple[Any, ...]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(select(cost_totals)).all()
        hourly = connection.execute(select(cost_hourly)).all()
    engine.dispose()
    assert sorted(tuple(row[2:]) for row in hourly) == sorted(map(tuple, rows))
    return {row.price_version: tuple(row[5:]) for row in rows}


def test_a_run_whose_row_was_deleted_is_corrected_by_the_difference(
    views: Views, store: EventStore, database_url: str
) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM run_costs"))
    engine.dispose()
    correct(store, "a", Usage(completion_tokens=200))
    views.catch_up()
    small = next(row for row in views.cost() if row.group["model"] == "small")
    assert small[1:4] == (4, 1, 0)
    assert small.total_dollars == 2 * COST[2] + COST[1]


def test_verify_finds_a_wrong_sum_of_old_prices(database_url: str, store: EventStore) -> None:
    put(store, "a", USED)
    opened(database_url, store, priced("small")).close()
    with opened(database_url, store, priced("small", TWICE, "fake 2")) as views:
        engine = open_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE cost_totals SET input_nanodollars = 1"))
        engine.dispose()
        assert [(it.table, it.column, it.found) for it in views.verify()] == [
            ("cost_totals", "input_nanodollars", 1)
        ]


def test_a_rebuild_begun_with_other_prices_begins_anew(
    database_url: str, store: EventStore
) -> None:
    put(store, "a", USED)
    put(store, "b", USED)
    old = CostsProjection(priced("small"))
    with opened(database_url, store, priced("small")) as views:
        begun = store.last_position()
        put(store, "c", USED)
        engine = open_engine(database_url)

        class Killed(Exception):
            pass

        def kill(*_: int) -> None:
            raise Killed

        with pytest.raises(Killed):
            rebuild(engine, Until(store, begun), [old], kill)
        new = CostsProjection(priced("small", TWICE, "fake 2"))
        rebuild(engine, store, [new])
        assert Shadowed(new).name == "costs (rebuild)"
        engine.dispose()
        assert views.cost(by=None)[0].price_versions == ("fake 2",)
        assert views.cost(by=None)[0].total_dollars == 3 * DOUBLED[2]


STEP = st.tuples(
    st.integers(0, 2),
    st.builds(
        Usage,
        prompt_tokens=st.none() | st.integers(0, 9),
        completion_tokens=st.none() | st.sampled_from([0, 5, 10**12]),
        cached_tokens=st.none() | st.integers(0, 9),
    ),
)


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(STEP, st.sampled_from(["fake 1", "fake 2"])), max_size=9))
def test_sums_are_those_of_the_rows_whatever_the_order_of_prices(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[tuple[int, Usage], str]]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('costs') / 'runs.db'}"
    views = {
        "fake 1": priced("small"),
        "fake 2": priced("small", TWICE, "fake 2"),
    }
    versions = dict.fromkeys(range(3), 0)
    with closing(open_event_store("memory://")) as store:
        with opened(url, store, views["fake 1"]):
            pass
        for (number, usage), version in steps:
            if versions[number]:
                correct(store, f"run_{number}", usage, versions[number])
                versions[number] += 1
            else:
                put(store, f"run_{number}", usage)
                versions[number] = 3
            opened(url, store, views[version]).close()
        with opened(url, store, views["fake 1"]) as current:
            assert current.verify() == []
        engine = open_engine(url)
        check_sums(engine)
        rebuild(engine, store, [CostsProjection(views["fake 1"])])
        check_sums(engine, "fake 1")
        engine.dispose()


def check_sums(engine: Engine, version: str | None = None) -> None:
    """The sums are those of the rows; all of one version are what that says."""
    with engine.connect() as connection:
        total = connection.execute(select(cost_totals)).all()
        rows = connection.execute(
            select(run_costs.c.price_version, run_costs.c.input_nanodollars)
        ).all()
        by_run = connection.execute(select(run_costs)).all()
        hourly = connection.execute(select(cost_hourly)).all()
        ended_runs = connection.execute(select(runs)).all()
    counted: dict[str, list[int | None]] = {}
    for priced_at, cost in rows:
        counted.setdefault(priced_at, []).append(cost)
    assert {it.price_version: it.runs for it in total} == {k: len(v) for k, v in counted.items()}
    for it in total:
        known = [cost for cost in counted[it.price_version] if cost is not None]
        assert it.input_nanodollars == (sum(known) if known else None)
    if version is not None:
        expected = cost_tables(ended_runs, "small", version)  # type: ignore[arg-type]
        found: Mapping[str, Any] = {
            "run_costs": by_run,
            "cost_hourly": hourly,
            "cost_totals": total,
        }
        assert {name: sorted(map(tuple, it)) for name, it in found.items()} == expected


def test_without_a_price_list_nothing_is_priced(
    database_url: str, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the import system does where there is none.
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    put(store, "a", USED)
    with Views(database_url, store=store) as views:
        views.upgrade()
        assert views.catch_up() == 3
        assert views.verify() == []
        with views.as_of(1) as past:
            for refused in (views.cost, views.unpriced, past.cost, lambda: views.rebuild("costs")):
                with pytest.raises(SettingsError, match=r'pip install "runfold\[cost\]"'):
                    refused()
    with pytest.raises(SettingsError, match=r'pip install "runfold\[cost\]"'):
        Prices()
    monkeypatch.undo()
    with opened(database_url, store, priced("small")) as views:
        assert money(views.cost()[0]) == COST


def test_the_real_list_has_prices_by_time_and_names_of_deployments(
    database_url: str, store: EventStore
) -> None:
    # The price of o3 fell by four fifths in the night to 10 June 2025.
    night = datetime(2025, 6, 10, tzinfo=UTC)
    used = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, reasoning_tokens=90_000)
    put(store, "before", used, model="o3", occurred_at=night - timedelta(seconds=1))
    put(store, "after", used, model="our-o3", occurred_at=night)
    with Views(database_url, store=store, prices=Prices(models={"our-o3": "o3"})) as views:
        views.upgrade()
        views.catch_up()
        costs = {row.group["model"]: row for row in views.cost()}
        assert money(costs["o3"]) == (10, 4, 14)
        assert money(costs["our-o3"]) == (2, Decimal("0.8"), Decimal("2.8"))
        assert costs["o3"].price_versions[0].startswith("0.")
