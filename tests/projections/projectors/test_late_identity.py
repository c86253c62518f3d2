"""Rollups of runs whose identity is told after their end: moved by the difference."""

from collections.abc import Sequence
from typing import Any

import pytest

from projections import Views
from projections.runner.catch_up import catch_up
from projections.runner.rebuild import rebuild
from tests.support.cost_fixtures import price_list
from tests.support.reference_fold import ALL, fold_tables, open_migrated, read_tables
from tests.support.run_builder import created, ended, second, started
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration

CACHED = Usage(prompt_tokens=1000, completion_tokens=100, total_tokens=1100, cached_tokens=400)


def append_run(store: EventStore, run_id: str, usage: Usage | None, **first: Any) -> None:
    end = ended(e.RunCompleted, 20, stamp=19, since=8, usage=usage)
    story = [created(run_id=run_id, **first), started(2, stamp=1, since=1), end]
    store.append([Append(f"assistants:{run_id}", 0, story)])


def tell(store: EventStore, run_id: str, version: int = 3, **told: Any) -> None:
    event = e.RunIdentified(observed_at=second(90), **told)
    store.append([Append(f"assistants:{run_id}", version, [event])])


def read(views: Views) -> tuple[Sequence[Any], Sequence[Any]]:
    usage = [(it.group["model"], it.runs, it.cached_tokens) for it in views.usage(by="model")]
    costs = [
        (it.group["model"], it.runs, it.unpriced_runs, it.total_dollars)
        for it in views.cost(by="model")
    ]
    return usage, costs


@pytest.mark.parametrize("batch", [1, 100])
def test_a_model_that_is_told_late_moves_the_sums(database_url: str, batch: int) -> None:
    store, engine = open_event_store("memory://"), open_migrated(database_url)
    append_run(store, "run_1", CACHED)
    append_run(store, "run_2", Usage(prompt_tokens=5, completion_tokens=5, total_tokens=10))
    append_run(store, "run_3", None, occurred_at=None)
    catch_up(engine, store, ALL, batch=batch)
    prices = price_list("gpt-4o")
    with Views(database_url, store=store, prices=prices) as views:
        usage, costs = read(views)
        assert usage == [(None, 3, 400)]
        assert [it[:3] for it in costs] == [(None, 3, 2)]
        tell(store, "run_1", model="gpt-4o", assistant_id="asst_1")
        tell(store, "run_3", model="gpt-4o", created_at=second(-86400))
        catch_up(engine, store, ALL, batch=batch)
        # No run without a model reports cached tokens any more: that is unknown, and not zero.
        usage, costs = read(views)
        assert usage == [("gpt-4o", 2, 400), (None, 1, None)]
        assert [it[:3] for it in costs] == [("gpt-4o", 2, 0), (None, 1, 1)]
        assert float(costs[0][3]) == (600 * 2 + 400 * 0.5 + 100 * 8) / 1e6
        days = [(str(it.group["day"]), it.runs) for it in views.usage(by="day")]
        assert days == [("2025-12-31", 1), ("2026-01-01", 2)]
        [total] = [it for it in views.timing() if it.phase == "total"]
        assert total.runs == 3
        assert read_tables(engine) == fold_tables(store)
        assert views.verify() == []
        rebuild(engine, store, ALL)
        assert read_tables(engine) == fold_tables(store)
    engine.dispose()


def test_rollups_move_for_runs_that_are_pruned_too(database_url: str) -> None:
    store = open_event_store("memory://")
    for run_id in ("run_1", "run_2"):
        append_run(store, run_id, CACHED, model="auto")
    with Views(database_url, store=store, prices=price_list("gpt-4o")) as views:
        views.upgrade()
        views.catch_up()
        assert views.prune(second(60)).runs == 2
        tell(store, "run_1", model="gpt-4o")
        views.catch_up()
        assert read(views)[0] == [("auto", 1, 400), ("gpt-4o", 1, 400)]
        assert [it[:3] for it in read(views)[1]] == [("auto", 1, 1), ("gpt-4o", 1, 0)]
        assert views.verify() == []


def test_a_run_of_which_only_the_assistant_is_told_keeps_its_price(database_url: str) -> None:
    store = open_event_store("memory://")
    append_run(store, "run_1", CACHED, model="gpt-4o")
    with Views(database_url, store=store, prices=price_list("gpt-4o")) as views:
        views.upgrade()
        views.catch_up()
    newer = price_list("gpt-4o", version="fake 2")
    with Views(database_url, store=store, prices=newer) as views:
        tell(store, "run_1", assistant_id="asst_1")
        views.catch_up()
        [cost] = views.cost(by="assistant_id")
        assert (cost.group["assistant_id"], cost.price_versions) == ("asst_1", ("fake 1",))
        tell(store, "run_1", 4, model="gpt-5")
        views.catch_up()
        [cost] = views.cost(by="assistant_id")
        assert (cost.unpriced_runs, cost.price_versions) == (1, ("fake 2",))
        assert views.verify() == []
