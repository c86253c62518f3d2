"""Log records: each names its run or source, and none shows a secret."""

import asyncio
import logging
from pathlib import Path

import pytest

from tests.support.tracker_settings import QUICK
from tracker import Delivery, Tracker
from tracker.core.events import RunCreated
from tracker.errors import KeyRefused, NotFound
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

PLAIN = Parameters.ending("completed", action=0.0, time_scale=0.02, stretched=0.0)


def test_every_record_says_what_it_is_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="runfold")

    async def scenario(base_url: str, thread_id: str, run_id: str, key: str) -> None:
        api = Assistants(base_url, api_key=key, name="shop")
        tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", api, cadence=QUICK)

        @tracker.on(RunCreated, name="mail")
        def raises(delivery: Delivery) -> None:
            if delivery.run_id == run_id:
                raise ValueError("no mail today")

        async with tracker:
            await tracker.watch(thread_id, run_id)
            await tracker.wait(run_id, timeout=300)
            async with asyncio.timeout(120):
                while not tracker.deliveries()[0].attempts:  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.01)

    with Simulator(parameters=PLAIN, api_key="sk-right-secret-4f1d9c22b7") as simulator:
        run = simulator.create_run()
        for run_id, key, error in (
            (run.run_id, "sk-wrong-secret-4f1d9c22b7", KeyRefused),
            ("run_unknown", "sk-right-secret-4f1d9c22b7", NotFound),
        ):
            with pytest.raises(error):
                asyncio.run(scenario(simulator.base_url, run.thread_id, run_id, key))
        asyncio.run(
            scenario(simulator.base_url, run.thread_id, run.run_id, "sk-right-secret-4f1d9c22b7")
        )

    records = [record for record in caplog.records if record.name.startswith("runfold")]
    texts = [record.getMessage() for record in records]
    for expected in (
        "requests are paused for 60 s",
        "set aside, and polled again",
        "the handler 'mail' raised",
    ):
        assert any(expected in text for text in texts), expected
    for record in records:
        known = {name: getattr(record, name, None) for name in ("source", "run", "handlers")}
        if "runs again" not in record.getMessage():
            assert any(known.values()), record.getMessage()
        if known["run"]:
            assert known["source"] == "shop"
            assert known["run"] in (run.run_id, "run_unknown")
            assert record.getMessage().startswith(f"shop:{known['run']}: ")
    assert "secret" not in caplog.text
