"""Costs of runs: exact, at the prices of their time, and right after each correction."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from projections.row_types import UnpricedRow
from tests.support.cost_fixtures import (
    COST,
    USED,
    add_ended_run,
    correct_usage,
    money,
    open_views,
    price_list,
)
from tests.support.run_builder import BIRTH, created, second, values_of
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = open_event_store("memory://")
    yield store
    store.close()


@pytest.fixture
def views(database_url: str, store: EventStore) -> Iterator[Views]:
    """Yields views of two priced runs, one failed, one without usage, two of unknown models."""
    add_ended_run(store, "a", USED, thread_id="thread_1", assistant_id="asst_1")
    add_ended_run(store, "b", USED, occurred_at=second(86_400))
    add_ended_run(store, "c", Usage(prompt_tokens=0, completion_tokens=0), end=e.RunFailed)
    add_ended_run(store, "d", None, end=e.RunCancelled)
    add_ended_run(store, "e", USED, model="mystery")
    add_ended_run(store, "f", USED, model=None)
    store.append([Append("assistants:g", 0, [created(run_id="g", model="small")])])
    with open_views(database_url, store, price_list("small")) as views:
        yield views


def test_costs_of_groups(views: Views) -> None:
    by_model = {row.group["model"]: row for row in views.cost()}
    assert values_of(by_model["small"])[1:4] == (4, 1, 0)
    assert money(by_model["small"]) == tuple(2 * it for it in COST)
    assert by_model["small"].price_versions == ("fake 1",)
    for unknown in ("mystery", None):
        assert values_of(by_model[unknown])[1:7] == (1, 0, 1, None, None, None)
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
    # A partial quarter of an hour is read run by run.
    cut = views.cost(by="model", since=second(-1), until=second(1))
    assert [(row.group["model"], *values_of(row)[1:4], row.total_dollars) for row in cut] == [
        ("mystery", 1, 0, 1, None),
        ("small", 3, 1, 0, COST[2]),
        (None, 1, 0, 1, None),
    ]
    threads = {row.group["thread_id"]: row for row in views.cost(by="thread_id")}
    assert money(threads["thread_1"]) == COST
    assert values_of(threads[None])[1:4] == (5, 1, 2)
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
    correct_usage(store, "a", Usage(completion_tokens=200))
    views.catch_up()
    before = store.last_position() - 1
    assert views.cost(by="model", until=second(1))[1].total_dollars == COST[2] + COST[1]
    with views.as_of(before) as past:
        assert past.cost(by="model", until=second(1))[1].total_dollars == COST[2]


def test_a_correction_moves_the_sums_by_the_difference(views: Views, store: EventStore) -> None:
    correct_usage(store, "a", Usage(prompt_tokens=1100, cached_tokens=0))
    correct_usage(store, "d", USED)
    correct_usage(store, "e", Usage(completion_tokens=7))
    views.catch_up()
    by_outcome = {row.group["outcome"]: row for row in views.cost(by=("outcome", "model"))}
    assert money(by_outcome["cancelled"]) == COST
    assert views.cost(by="thread_id")[0].input_dollars == Decimal("0.0022")
    assert views.verify() == []


def test_a_run_whose_row_was_deleted_is_corrected_by_the_difference(
    views: Views, store: EventStore, database_url: str
) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM run_costs"))
    engine.dispose()
    correct_usage(store, "a", Usage(completion_tokens=200))
    views.catch_up()
    small = next(row for row in views.cost() if row.group["model"] == "small")
    assert values_of(small)[1:4] == (4, 1, 0)
    assert small.total_dollars == 2 * COST[2] + COST[1]
