"""Prices that change or are missing: the price of each run, and its verification."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from projections import Prices, Views
from projections.database.engine import open_engine
from projections.database.schema import cost_hourly, cost_totals, run_costs, runs
from projections.projectors.costs import CostsProjection
from projections.row_types import UnpricedRow
from projections.runner.rebuild import rebuild
from projections.runner.replay import StoreAtPosition
from projections.runner.shadow_tables import ShadowProjection
from tests.support.cost_fixtures import (
    COST,
    DOUBLED,
    FIRST,
    TWICE,
    USED,
    PriceList,
    add_ended_run,
    correct_usage,
    cost_tables,
    money,
    open_views,
    price_list,
)
from tests.support.examples import examples
from tests.support.run_builder import BIRTH, second
from tracker.core.usage import Usage
from tracker.errors import SettingsError
from tracker.event_store import EventStore, open_event_store

pytestmark = pytest.mark.integration


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = open_event_store("memory://")
    yield store
    store.close()


def test_prices_are_those_of_the_creation(database_url: str, store: EventStore) -> None:
    change = second(3600)
    add_ended_run(store, "before", USED, occurred_at=change - timedelta(seconds=1))
    add_ended_run(store, "after", USED, occurred_at=change)
    prices = PriceList({"small": [(BIRTH, FIRST), (change, TWICE)]})
    with open_views(database_url, store, prices) as views:
        hours = views.cost(by="hour")
    assert [money(row) for row in hours] == [COST, DOUBLED]


def test_new_prices_count_from_then_on_and_a_rebuild_makes_them_count_for_all(
    database_url: str, store: EventStore
) -> None:
    add_ended_run(store, "a", USED)
    add_ended_run(store, "b", USED)
    add_ended_run(store, "silent", None)
    open_views(database_url, store, price_list("small")).close()
    add_ended_run(store, "c", USED)
    with open_views(database_url, store, price_list("small", TWICE, "fake 2")) as views:
        assert views.cost(by=None)[0].price_versions == ("fake 1", "fake 2")
        assert views.cost(by=None)[0].total_dollars == 2 * COST[2] + DOUBLED[2]
        assert views.verify() == []
        # The earlier cost is subtracted from the sums of its own version.
        correct_usage(store, "a", Usage(cached_tokens=0))
        views.catch_up()
        [all_] = views.cost(by=None)
        assert all_.total_dollars == COST[2] + DOUBLED[2] + Decimal("0.004") + Decimal("0.0016")
        assert all_.runs == 4
        assert views.verify() == []
        correct_usage(store, "b", Usage(cached_tokens=300))
        views.catch_up()
        # The remaining run has no usage, and its sums stay NULL.
        assert read_costs_of_version(database_url)["fake 1"] == (1, 1, 0, None, None, None)
        correct_usage(store, "silent", USED)
        views.catch_up()
        assert set(read_costs_of_version(database_url)) == {"fake 2"}
        assert views.verify() == []
        once = views.cost(by="model")
        views.rebuild("costs")
        assert views.cost(by="model") == once


def read_costs_of_version(url: str) -> dict[str, tuple[Any, ...]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(select(cost_totals)).all()
        hourly = connection.execute(select(cost_hourly)).all()
    engine.dispose()
    assert sorted(tuple(row[2:]) for row in hourly) == sorted(map(tuple, rows))
    return {row.price_version: tuple(row[6:]) for row in rows}


def test_verify_finds_a_wrong_sum_of_old_prices(database_url: str, store: EventStore) -> None:
    add_ended_run(store, "a", USED)
    open_views(database_url, store, price_list("small")).close()
    with open_views(database_url, store, price_list("small", TWICE, "fake 2")) as views:
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
    add_ended_run(store, "a", USED)
    add_ended_run(store, "b", USED)
    old = CostsProjection(price_list("small"))
    with open_views(database_url, store, price_list("small")) as views:
        begun = store.last_position()
        add_ended_run(store, "c", USED)
        engine = open_engine(database_url)

        class Killed(Exception):
            pass

        def kill(*_: int) -> None:
            raise Killed

        with pytest.raises(Killed):
            rebuild(engine, StoreAtPosition(store, begun), [old], kill)
        new = CostsProjection(price_list("small", TWICE, "fake 2"))
        rebuild(engine, store, [new])
        assert ShadowProjection(new).name == "costs (rebuild)"
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


@settings(deadline=None, max_examples=examples(10), suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(STEP, st.sampled_from(["fake 1", "fake 2"])), max_size=9))
def test_sums_are_those_of_the_rows_whatever_the_order_of_prices(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[tuple[int, Usage], str]]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('costs') / 'runs.db'}"
    views = {
        "fake 1": price_list("small"),
        "fake 2": price_list("small", TWICE, "fake 2"),
    }
    versions = dict.fromkeys(range(3), 0)
    with closing(open_event_store("memory://")) as store:
        with open_views(url, store, views["fake 1"]):
            pass
        for (number, usage), version in steps:
            if versions[number]:
                correct_usage(store, f"run_{number}", usage, versions[number])
                versions[number] += 1
            else:
                add_ended_run(store, f"run_{number}", usage)
                versions[number] = 3
            open_views(url, store, views[version]).close()
        with open_views(url, store, views["fake 1"]) as current:
            assert current.verify() == []
        engine = open_engine(url)
        check_sums(engine)
        rebuild(engine, store, [CostsProjection(views["fake 1"])])
        check_sums(engine, "fake 1")
        engine.dispose()


def check_sums(engine: Engine, version: str | None = None) -> None:
    """Checks the sums against the rows, and all rows against one price version if given."""
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
    # As the import system marks a missing module.
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    add_ended_run(store, "a", USED)
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
    with open_views(database_url, store, price_list("small")) as views:
        assert money(views.cost()[0]) == COST


def test_the_real_list_has_prices_by_time_and_names_of_deployments(
    database_url: str, store: EventStore
) -> None:
    # The price of o3 fell by four fifths in the night to 10 June 2025.
    night = datetime(2025, 6, 10, tzinfo=UTC)
    used = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, reasoning_tokens=90_000)
    add_ended_run(store, "before", used, model="o3", occurred_at=night - timedelta(seconds=1))
    add_ended_run(store, "after", used, model="our-o3", occurred_at=night)
    with Views(database_url, store=store, prices=Prices(models={"our-o3": "o3"})) as views:
        views.upgrade()
        views.catch_up()
        costs = {row.group["model"]: row for row in views.cost()}
        assert money(costs["o3"]) == (10, 4, 14)
        assert money(costs["our-o3"]) == (2, Decimal("0.8"), Decimal("2.8"))
        assert costs["o3"].price_versions[0].startswith("0.")


def test_tokens_written_to_a_cache_cost_more(store: EventStore, tmp_path: Path) -> None:
    """The list charges 1.25 times the price of the input for them."""
    used = Usage(prompt_tokens=100_000, completion_tokens=0, cached_tokens=0)
    written = used.model_copy(update={"cache_write_tokens": 100_000})
    add_ended_run(store, "plain", used, model="gpt-6-sol", assistant_id="plain")
    add_ended_run(store, "written", written, model="gpt-6-sol", assistant_id="written")
    with Views(f"sqlite:///{tmp_path}/runs.db", store=store) as views:
        views.upgrade()
        views.catch_up()
        costs = {row.group["assistant_id"]: row.total_dollars for row in views.cost("assistant_id")}
        assert costs == {"plain": Decimal("0.2"), "written": Decimal("0.25")}
        assert views.usage()[0].cache_write_tokens == 100_000
        assert views.run("plain").cache_write_tokens is None


def test_a_tier_is_priced_as_told_or_counted_as_unpriced(
    database_url: str, store: EventStore
) -> None:
    dearer, cheaper = (
        Usage(prompt_tokens=1_000_000, completion_tokens=0, service_tier=tier)
        for tier in ("priority", "flex")
    )
    add_ended_run(store, "a", dearer, model="gpt-4o", service_tier="auto")
    add_ended_run(store, "b", cheaper, model="gpt-4o")
    add_ended_run(store, "c", dearer.model_copy(update={"service_tier": None}), model="gpt-4o")
    with Views(database_url, store=store, prices=Prices(tiers={"priority": 2})) as views:
        views.upgrade()
        views.catch_up()
        by_tier = {row.group["service_tier"]: row for row in views.cost(by="service_tier")}
        assert {tier: row.total_dollars for tier, row in by_tier.items()} == {
            "priority": 5,
            "flex": None,
            None: Decimal("2.5"),
        }
        assert by_tier["flex"].unpriced_runs == 1
        assert views.unpriced() == [UnpricedRow("assistants", "gpt-4o", 1, "flex")]
        assert {row.group["service_tier"]: row.runs for row in views.usage(by="service_tier")} == {
            "priority": 1,
            "flex": 1,
            None: 1,
        }
        # A tier that the service corrects moves the cost.
        correct_usage(store, "b", Usage(service_tier="default"))
        correct_usage(store, "c", Usage(service_tier="priority"))
        views.catch_up()
        by_tier = {row.group["service_tier"]: row for row in views.cost(by="service_tier")}
        assert {tier: row.total_dollars for tier, row in by_tier.items()} == {
            "priority": 10,
            "default": Decimal("2.5"),
        }
        assert views.unpriced() == []
        assert views.verify() == []


def test_free_models_and_requests_have_the_price_of_the_list(
    store: EventStore, tmp_path: Path
) -> None:
    used = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)
    models = {"ours": "sonar", "free": "phi-4-reasoning:free"}
    add_ended_run(store, "a", used, model="ours")
    url = f"sqlite:///{tmp_path}/runs.db"
    with Views(url, store=store, prices=Prices(models=models, provider="perplexity")) as views:
        views.upgrade()
        views.catch_up()
        assert money(views.cost()[0]) == (1, 1, Decimal("2.012"))
    add_ended_run(store, "b", used, model="free")
    with Views(url, store=store, prices=Prices(models=models, provider="azure")) as views:
        views.rebuild("costs", reprice=True)
        costs = {row.group["model"]: money(row) for row in views.cost()}
        assert costs == {"ours": (None, None, None), "free": (0, 0, 0)}
