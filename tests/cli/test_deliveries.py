"""`runfold deliveries`, and what the doctor says of parked runs."""

import asyncio
from pathlib import Path

import pytest

from tests.support.command_line import runfold
from tests.support.undelivered_events import created, unpolled_tracker
from tests.support.waiting import until
from tracker import Delivery, open_event_store
from tracker.core.events import RunCreated

pytestmark = pytest.mark.integration


def park(url: str) -> None:
    """Leaves run_1 parked, and run_2 done."""
    store = open_event_store(url)
    store.append([created(1), created(2)])
    store.close()
    tracker = unpolled_tracker(url)

    @tracker.on(RunCreated, name="mail", since="start", give_up_after=0.01)
    async def send(delivery: Delivery) -> None:
        if delivery.run_id == "run_1":
            raise ValueError("no \x1b[31mmail today")

    async def scenario() -> None:
        async with tracker:
            await until(lambda: bool(tracker.deliveries()[0].parked))

    asyncio.run(scenario())


def test_parked_runs_are_shown_and_retried(database_url: str) -> None:
    park(database_url)
    shown = runfold("deliveries", "--db", database_url)
    assert shown.code == 0
    assert "assistants:run_1" in shown.out
    assert "parked" in shown.out
    assert "\x1b[31m" not in shown.out
    document = runfold("deliveries", "--json", "--db", database_url).document
    [handlers] = document["handlers"]
    assert (handlers["name"], handlers["position"], handlers["parked"]) == ("mail", 2, 1)
    [run] = document["runs"]
    assert (run["run_key"], run["state"], run["position"]) == ("assistants:run_1", "parked", 1)
    assert runfold("deliveries", "--name", "other", "--json", "--db", database_url).document == {
        "handlers": [],
        "runs": [],
    }
    doctor = runfold("doctor", "--db", database_url)
    assert doctor.code == 1
    assert "cure: runfold deliveries retry run_1" in doctor.out
    unknown = runfold("deliveries", "retry", "run_2", "--db", database_url)
    assert (unknown.code, "run_2 is not parked" in unknown.err) == (1, True)
    retried = runfold("deliveries", "retry", "run_1", "--db", database_url)
    assert (retried.code, retried.out.startswith("1 runs")) == (0, True)
    assert runfold("deliveries", "--json", "--db", database_url).document["runs"] == []
    assert runfold("deliveries", "retry", "--db", database_url).out.startswith("0 runs")


def test_a_database_without_handlers_has_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    open_event_store(url).close()
    assert "handlers: none" in runfold("deliveries", "--db", url).out
    assert runfold("deliveries", "retry", "--db", url).code == 0
    assert runfold("deliveries", "drop", "--db", url).code == 2
    assert runfold("deliveries", "--db", f"sqlite:///{tmp_path}/other.db").code == 1
