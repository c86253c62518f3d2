"""Discovery of runs on watched threads: new runs are watched, ended ones recorded."""

from datetime import timedelta

import pytest

from tests.support.paged_source import PagedSource
from tests.support.poller_bench import Bench, ScriptedSource, body, run
from tracker.core.state import RunState
from tracker.errors import KeyRefused, Misconfigured, NotFound, RunfoldError, SettingsError
from tracker.polling.recovery import resume
from tracker.recording.pending_runs import Pending


async def advance(bench: Bench, seconds: float, step: float = 0.05) -> None:
    for _ in range(round(seconds / step)):
        await bench.poller.discover()
        await bench.advance(step, step)


def start_runs(service: PagedSource, *names: str, status: str = "in_progress") -> None:
    """Starts runs, the last the newest."""
    for name in names:
        service.runs = {name: body(status, id=name), **service.runs}


def watched_ids(bench: Bench) -> set[str]:
    return {each.run_id for each in bench.watch_list.runs}


def test_what_begins_on_a_thread_is_watched_and_what_ended_is_recorded_once() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, "run_1", "run_2")
        service.end("run_2")
        bench.poller.discovery.watch_thread(service, "thread_1", 10.0)
        await advance(bench, 5)
        assert watched_ids(bench) == {"run_1"}
        assert len(bench.store.read("assistants:run_2")) == 2
        start_runs(service, "run_3")
        await advance(bench, 15)
        assert watched_ids(bench) == {"run_1", "run_3"}
        read = service.read
        await advance(bench, 30)
        bench.poller.discovery.unwatch_thread(service, "thread_1")
        bench.poller.discovery.unwatch_thread(service, "thread_1")
        start_runs(service, "run_4")
        await advance(bench, 30)
        assert watched_ids(bench) == {"run_1", "run_3"}
        # What is watched or has ended is not read again for its thread.
        assert service.read == read

    run(scenario)


def test_a_page_is_long_where_much_may_have_begun_and_short_otherwise() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench)
        start_runs(service, *(f"old_{number}" for number in range(150)), status="completed")
        bench.poller.discovery.watch_thread(service, "thread_1", 10.0)
        await advance(bench, 35)
        assert service.pages == [100, 20, 20, 20]
        # More at once than a short page shows: the next one is long.
        start_runs(service, *(f"new_{number}" for number in range(50)), status="completed")
        await advance(bench, 20)
        assert service.pages[4:] == [20, 100]
        recorded = [name for name in service.runs if bench.store.read(f"assistants:{name}")]
        assert len(recorded) == 150

    run(scenario)


def test_discovery_takes_a_tenth_of_the_rate_and_goes_behind_polls() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench)
        for number in range(200):
            bench.poller.discovery.watch_thread(service, f"thread_{number}", 1.0)
        await advance(bench, 60)
        rate = bench.status(service).rate
        assert 0.8 * 0.5 * 60 < len(service.pages) <= 0.1 * rate * 60 + 2
        assert bench.status(service).waiting == 200

    run(scenario)


@pytest.mark.parametrize(
    ("error", "pause"),
    [(NotFound("no thread"), 10), (Misconfigured("no page"), 60), (KeyRefused("no rights"), 60)],
)
def test_a_thread_that_cannot_be_looked_at_is_looked_at_again(
    error: RunfoldError, pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, "run_1", failures=[error] * 3)
        bench.poller.discovery.watch_thread(service, "thread_1", 10.0)
        await advance(bench, pause * 3 - 1)
        assert len(service.pages) == 3
        await advance(bench, 10 + pause)
        assert watched_ids(bench) == {"run_1"}
        assert len([said for said in caplog.messages if "cannot list the runs" in said]) == 1

    run(scenario)


def test_a_run_that_cannot_be_read_does_not_hide_the_others() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, "run_1", "run_2")
        service.runs["run_1"] = {"id": "run_1", "status": 7}
        bench.poller.discovery.watch_thread(service, "thread_1", 10.0)
        await advance(bench, 1)
        assert watched_ids(bench) == {"run_2"}

    run(scenario)


def test_a_thread_that_is_let_go_while_it_is_looked_at_stays_so() -> None:
    class Held(PagedSource):
        async def fetch_page(self, thread_id: str, limit: int):  # type: ignore[no-untyped-def]
            bench.poller.discovery.unwatch_thread(self, thread_id)
            return await super().fetch_page(thread_id, limit)

    async def scenario(given: Bench) -> None:
        nonlocal bench
        bench = given
        service = Held(bench, "run_1")
        bench.poller.discovery.watch_thread(service, "thread_1", 1.0)
        await advance(bench, 10)
        assert len(service.pages) == 1

    bench: Bench
    run(scenario)


def test_what_cannot_be_is_refused() -> None:
    async def scenario(bench: Bench) -> None:
        plain, paged = ScriptedSource(bench.clock, body("queued")), PagedSource(bench)
        with pytest.raises(SettingsError, match="cannot list the runs"):
            bench.poller.discovery.watch_thread(plain, "thread_1", 1.0)
        with pytest.raises(SettingsError, match="every has to be above 0"):
            bench.poller.discovery.watch_thread(paged, "thread_1", 0.0)

    run(scenario)


def make_states(*names: str, source: str = "assistants") -> list[RunState]:
    return [RunState(source, name, f"thread_{name}", status="queued") for name in names]


def test_first_polls_after_a_restart_are_due_at_once_the_youngest_first() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, body("queued"))
        states = make_states(*(f"run_{number}" for number in range(200)))
        born = bench.clock.now()
        states = [
            state._replace(created_at=born - timedelta(seconds=7 * number % 200))
            for number, state in enumerate(states)
        ]
        others = make_states("run_x", source="another")
        resume(
            bench.watch_list,
            bench.updates,
            {"assistants": service},
            Pending([*states, *others], []),
        )
        runs = sorted(bench.watch_list.runs, key=lambda each: each.due)
        assert len(runs) == 200
        assert runs[0].due == 0
        assert runs[-1].due < 0.01
        births = [each.state.created_at or born for each in runs]
        assert births == sorted(births, reverse=True)

    run(scenario)


def test_runs_past_their_expiry_are_told_once_and_not_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(bench: Bench) -> None:
        at = bench.clock.now().timestamp()
        service = PagedSource(bench, "run_1", "run_2")
        service.runs["run_1"] = body("in_progress", id="run_1", expires_at=at + 100)
        service.runs["run_2"] = body("in_progress", id="run_2", expires_at=at + 1000)
        for name in service.runs:
            bench.watch_list.watch(service, "thread_1", name)
        await bench.advance(50)
        audit = bench.overdue
        await audit.tick()
        assert audit.overdue == []
        await bench.advance(60)
        for _ in range(3):
            await audit.tick()
        assert [state.run_id for state in audit.overdue] == ["run_1"]
        told = [said for said in caplog.messages if "should have ended" in said]
        assert told == ["assistants:run_1: should have ended 10 s ago and is still in_progress"]
        assert bench.topics == ["run.created", "run.status_changed"]
        service.end("run_1")
        await bench.advance(40)
        assert audit.overdue == []

    run(scenario)
