"""A source of an application that raises where no source should harms nothing but its own runs."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.poller_bench import Bench, ScriptedSource, body, run
from tracker import Tracker
from tracker.core.state import RunState
from tracker.errors import SettingsError
from tracker.polling.policy.cadence import Cadence
from tracker.sources import Responses
from tracker.testing import FakeClock
from tracker.webhooks import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SLOW = Cadence(shortest=500, longest=1000)
NOWHERE = "http://127.0.0.1:9/v1"
MISTAKE = KeyError("of its own")


class OddSource(ScriptedSource):
    """A source whose own mistakes come up in the methods that it need not have."""

    name = "odd"
    offsets: Any = None

    def check_ids(self, thread_id: str | None, run_id: str) -> None:
        raise MISTAKE

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        if self.offsets is None:
            raise MISTAKE
        found: Sequence[float] = self.offsets
        return found

    def recognises(self, body: Mapping[str, Any]) -> bool:
        raise MISTAKE


class CheckingSource(ScriptedSource):
    """A source that is no HttpSource, and knows of runs that it can never be asked about."""

    def check_ids(self, thread_id: str | None, run_id: str) -> None:
        if not thread_id:
            raise SettingsError(f"{run_id} needs a thread")


def test_a_source_of_any_class_may_refuse_a_run_at_once() -> None:
    async def main() -> None:
        source = CheckingSource(FakeClock(), body("queued"))
        async with Tracker("memory://", source, cadence=SLOW) as tracker:
            with pytest.raises(SettingsError, match="run_1 needs a thread"):
                await tracker.watch(None, "run_1")
            await tracker.watch("thread_1", "run_1")
            assert len(tracker.watching) == 1

    asyncio.run(main())


def test_a_source_that_cannot_check_ids_says_so_to_its_caller_alone() -> None:
    async def main() -> None:
        clock = FakeClock()
        plain, odd = ScriptedSource(clock, body("queued")), OddSource(clock, body("queued"))
        async with Tracker("memory://", odd, plain, cadence=SLOW) as tracker:
            with pytest.raises(SettingsError, match="check_ids of the source 'odd' raised KeyErr"):
                await tracker.watch("thread_1", "run_1", source="odd")
            await tracker.watch("thread_1", "run_1", source=plain.name)
            assert len(tracker.watching) == 1

    asyncio.run(main())


@pytest.mark.parametrize("offsets", [None, 5, ["soon"], [None]])
def test_a_source_that_cannot_say_when_its_usage_settles_loses_its_recheck(
    offsets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bench: Bench) -> None:
        odd = OddSource(bench.clock, body("in_progress"), body("completed"))
        plain = ScriptedSource(bench.clock, body("in_progress"), body("completed"))
        odd.offsets = offsets
        for source in (odd, plain):
            bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(60, step=0.5)
        for source in (odd, plain):
            assert bench.repository.read(f"{source.name}:run_1")[-1].event.topic == "run.completed"
            assert bench.status(source).waiting == 0
            assert bench.status(source).last_error is None
        assert bench.watch_list.runs == []

    with caplog.at_level(logging.WARNING, "runfold.polling"):
        run(scenario)
    [line] = [it.getMessage() for it in caplog.records if "usage_settles_after" in it.msg]
    assert line.startswith("odd:run_1: its usage is not read again")


def test_a_source_that_raises_at_a_document_does_not_recognise_it() -> None:
    response = {"id": "resp_1", "object": "response", "status": "completed", "created_at": 1}

    async def main() -> None:
        odd = OddSource(FakeClock(), body("queued"))
        async with Tracker("memory://", odd, Responses(NOWHERE), cadence=SLOW) as tracker:
            assert tracker.observe(response)[-1].topic == "run.completed"
            sent = json.dumps({"type": "response.completed", "data": response}).encode()
            headers = sign(sent, SECRET, "wh_1", datetime.now(UTC))
            state = await tracker.webhook(sent, headers, secret=SECRET)
            assert state is not None
            assert (state.source, state.status) == ("responses", "completed")

    asyncio.run(main())
