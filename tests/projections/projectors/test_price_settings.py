"""One way of pricing for one database: processes with other settings leave its costs alone."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from threading import Event, Thread

import pytest

from projections import Difference, Prices, Views
from projections.maintenance.diagnosis import DIFFERS, OK
from projections.runner.checkpoint import read_checkpoint
from tests.support.cost_fixtures import USED, add_ended_run
from tests.support.waiting import until
from tracker.errors import PricesDiffer, ProjectionFailed
from tracker.event_store import EventStore, open_event_store

pytestmark = pytest.mark.integration

OURS = {"our-gpt": "gpt-4o"}
KEPT = '{"models": {"our-gpt": "gpt-4o"}}'
# 600 at 2.5 dollars a million, 400 cached at 1.25, and 100 at 10.
COST = 3_000_000


@pytest.fixture
def store() -> Iterator[EventStore]:
    with closing(open_event_store("memory://")) as store:
        add_ended_run(store, "a", USED, model="our-gpt")
        yield store


@pytest.fixture
def mapped(database_url: str, store: EventStore) -> Iterator[Views]:
    """Views that have priced a run by the name of its deployment."""
    with Views(database_url, store=store, prices=Prices(models=OURS)) as views:
        views.upgrade()
        views.catch_up()
        yield views


def priced(views: Views) -> tuple[int, int, int]:
    """Returns the runs, the unpriced ones, and the cost in nanodollars."""
    [row] = views.cost(by=None)
    return row.runs, row.unpriced_runs, int((row.total_dollars or 0) * 10**9)


def states(views: Views) -> dict[str, str]:
    return {it.name: it.state for it in views.doctor().projections}


def test_a_process_with_other_prices_leaves_costs_alone(
    database_url: str, store: EventStore, mapped: Views
) -> None:
    add_ended_run(store, "b", USED, model="our-gpt")
    with Views(database_url, store=store) as bare:
        with pytest.raises(PricesDiffer, match="runfold rebuild costs --reprice") as refused:
            bare.catch_up()
        assert isinstance(refused.value, ProjectionFailed)
        assert refused.value.projections == ("costs",)
        assert KEPT in str(refused.value)
        # All other tables have the run, and the costs of before stay.
        assert [it.run_id for it in bare.runs()] == ["b", "a"]
        assert bare.usage()[0].runs == 2
        assert priced(bare) == (1, 0, COST)
        for call in (bare.rebuild, lambda: bare.rebuild("costs"), bare.retry):
            with pytest.raises(PricesDiffer):
                call()
        assert priced(bare) == (1, 0, COST)
        assert states(bare)["costs"] == DIFFERS
        assert not bare.doctor().is_healthy
        [difference] = bare.verify()
        place = ("runfold_checkpoints", ("costs",))
        assert difference == Difference(*place, "settings", KEPT, None)
        with bare.as_of(store.last_position()) as past:
            assert past.usage()[0].runs == 2
            with pytest.raises(PricesDiffer):
                past.cost()
    assert states(mapped)["costs"] == "behind"
    mapped.catch_up()
    mapped.rebuild()
    assert priced(mapped) == (2, 0, 2 * COST)
    assert (states(mapped)["costs"], mapped.verify()) == (OK, [])


def test_a_database_is_priced_in_another_way_when_somebody_says_so(
    database_url: str, store: EventStore, mapped: Views
) -> None:
    twice = Prices(models=OURS, provider="openai", tiers={"default": 1})
    with Views(database_url, store=store, prices=twice) as other:
        other.rebuild("costs", reprice=True)
        assert (other.catch_up(), other.verify()) == (0, [])
        with pytest.raises(PricesDiffer, match="the costs of this database are priced with"):
            mapped.catch_up()
        mapped.rebuild("costs", reprice=True)
        with pytest.raises(PricesDiffer):
            other.rebuild("costs")
    assert priced(mapped) == (1, 0, COST)


def test_a_follower_with_other_prices_keeps_the_other_tables_up_to_date(
    database_url: str, store: EventStore, mapped: Views, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Event()
    with Views(database_url, store=store) as bare:
        follower = Thread(target=bare.follow, args=(stop,), kwargs={"every": 0.01})
        follower.start()
        try:
            add_ended_run(store, "b", USED, model="our-gpt")
            asyncio.run(until(lambda: len(bare.runs()) == 2))
        finally:
            stop.set()
            follower.join()
    assert "use the same" in caplog.text
    assert priced(mapped) == (1, 0, COST)


def test_prices_that_change_during_a_batch_are_seen(
    database_url: str, store: EventStore, mapped: Views
) -> None:
    """A batch is written only while its prices are still those of the database."""
    add_ended_run(store, "b", USED, model="our-gpt")
    with Views(database_url, store=store) as bare:
        read_all, calls = store.read_all, []

        def reprice_first(after: int = 0, limit: int = 1000) -> object:
            if not calls:
                calls.append(after)
                with Views(database_url, store=store) as other:
                    other.rebuild("costs", reprice=True)
            return read_all(after, limit)

        store.read_all = reprice_first  # type: ignore[method-assign, assignment]
        with pytest.raises(PricesDiffer):
            mapped.catch_up()
        with bare._engine.connect() as connection:
            found = read_checkpoint(connection, "costs")
        assert found is not None
        assert found.settings is None
        assert priced(bare) == (2, 2, 0)
