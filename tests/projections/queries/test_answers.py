"""Answers of the views, equal on both databases."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from projections import Views
from projections.row_types import StatusCount
from tests.support.run_builder import (
    BIRTH,
    changed,
    created,
    ended,
    second,
    started,
    values_of,
    waiting,
)
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.errors import SettingsError, UnknownRun
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration

STEP = e.RunStepRecorded(
    observed_at=second(21),
    step_id="s",
    type="message_creation",
    status="completed",
    tools=("price",),
    created_at=second(3),
    ended_at=second(5),
    usage=Usage(total_tokens=9),
)


def add_run(store: EventStore, run_id: str, *events: e.Event, **first: Any) -> None:
    first = {"source": "assistants", "run_id": run_id, **first}
    store.append([Append(f"{first['source']}:{run_id}", 0, [created(**first), *events])])


@pytest.fixture
def views(database_url: str) -> Iterator[Views]:
    """Yields views of two completed runs, one failed, one waiting, and one of another source."""
    store = open_event_store("memory://")
    for name, model, tokens, seconds in (("a", "gpt-4o", 10, 5), ("b", None, None, 9)):
        usage = None if tokens is None else Usage(prompt_tokens=tokens, total_tokens=tokens + 1)
        add_run(
            store,
            name,
            started(2, stamp=1, since=1),
            ended(e.RunCompleted, 20, stamp=1 + seconds, since=8, usage=usage),
            *([STEP] if name == "a" else []),
            model=model,
            assistant_id="asst_1",
            thread_id="thread_1",
        )
    add_run(
        store,
        "c",
        started(2, stamp=1, since=1),
        ended(e.RunFailed, 20, stamp=8, since=6, usage=Usage(prompt_tokens=0, cached_tokens=3)),
        model="gpt-4o",
        assistant_id="asst_2",
        occurred_at=BIRTH,
    )
    add_run(
        store,
        "d",
        started(2, stamp=1, since=1),
        waiting(5, since=4),
        model="gpt-4o",
        occurred_at=second(0.5),
    )
    add_run(store, "d", changed("busy", 3, since=2), source="other", occurred_at=second(-86400))
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


def test_runs_are_found_by_what_they_have_newest_first(views: Views) -> None:
    def find(**choices: Any) -> list[str]:
        return [
            f"{it.source}:{it.run_id}".removeprefix("assistants:") for it in views.runs(**choices)
        ]

    assert find() == ["d", "c", "b", "a", "other:d"]
    assert find(limit=2) == ["d", "c"]
    assert find(limit=0) == []
    assert find(status="requires_action") == ["d"]
    assert find(status=["requires_action", "busy"]) == ["d", "other:d"]
    assert find(status=("completed", "busy")) == ["b", "a", "other:d"]
    assert find(status=[]) == []
    assert find(outcome="failed") == ["c"]
    assert find(source="other") == ["other:d"]
    assert find(thread_id="thread_1", assistant_id="asst_1") == ["b", "a"]
    assert find(since=BIRTH) == ["d", "c", "b", "a"]
    assert find(until=BIRTH) == ["other:d"]
    assert find(since=second(0.25), until=second(0.75)) == ["d"]
    assert find(since=BIRTH.astimezone(ZoneInfo("Asia/Tokyo")), limit=1) == ["d"]


def test_a_run_is_found_by_its_id(views: Views) -> None:
    run = views.run("a")

    assert run == views.run("a", source="assistants")
    assert (run.created_at, run.created_at.tzinfo) == (BIRTH, UTC)
    assert (run.metadata, run.total_tokens, run.cached_tokens) == ({"user": "ann"}, 11, None)
    assert [it.status for it in views.phases("a")] == ["queued", "in_progress"]
    named = views.run("d", "assistants"), views.run("d", "other")
    assert [it.source for it in named] == ["assistants", "other"]
    assert named[1].status == "busy"
    for unknown in (lambda: views.run("x"), lambda: views.phases("a", source="other")):
        with pytest.raises(UnknownRun, match="no run"):
            unknown()


def test_actions_and_steps_are_those_of_a_run_or_of_all(views: Views) -> None:
    (waits,) = views.actions(waiting=True)

    assert (waits.run_key, waits.tool_call_id, waits.name) == ("assistants:d", "call_1", "price")
    assert views.actions() == views.actions("d", "assistants") == [waits]
    assert views.actions("a") == views.actions(limit=0) == []
    (step,) = views.steps("a")
    assert (step.step_id, step.tools, step.seconds, step.total_tokens) == ("s", ["price"], 2, 9)
    assert (step.created_at, step.ended_at) == (second(3), second(5))
    assert views.steps("b") == []
    with pytest.raises(UnknownRun, match="no run"):
        views.steps("x")


def test_an_id_of_several_services_needs_a_source(database_url: str) -> None:
    store = open_event_store("memory://")
    for source in ("one", "two"):
        add_run(store, "r", source=source)
    add_run(store, "s", source="one")
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        assert views.run("s").source == "one"
        with pytest.raises(SettingsError, match="one, two"):
            views.run("r")


def test_names_with_a_nul_are_asked_for_as_they_were_recorded(database_url: str) -> None:
    store = open_event_store("memory://")
    odd = created(thread_id="th\x00read", metadata={"k\x00": "v\x00"})
    end = ended(e.RunCompleted, 9, stamp=8, since=7)
    store.append([Append("assistants:run_1", 0, [odd, end])])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()

        assert [it.thread_id for it in views.runs(thread_id="th\x00read")] == ["th\ufffdread"]
        assert [it.group for it in views.usage(by="metadata.k\x00")] == [
            {"metadata.k\x00": "v\ufffd"}
        ]


def test_timing_of_all_runs_and_of_groups(views: Views) -> None:
    rows = {it.phase: it for it in views.timing(percentiles=(50, 100))}

    assert [(it.phase, it.runs) for it in rows.values()] == [
        ("queued", 3),
        ("running", 3),
        ("total", 3),
    ]
    [known] = [it for it in views.timing(by="outcome") if it.phase == "running" and it.runs == 2]
    assert (known.unknown, known.mean_seconds) == (0, pytest.approx(7.51, rel=0.01))
    running = sorted(it.running_seconds for it in views.runs() if it.outcome is not None)
    assert rows["running"].percentiles == {
        50: pytest.approx(running[1], rel=0.01),
        100: pytest.approx(running[2], rel=0.01),
    }
    assert rows["running"].mean_seconds == pytest.approx(sum(running) / 3, rel=0.01)
    for it in rows.values():
        assert it.mean_at_least_seconds < it.mean_seconds < it.mean_at_most_seconds
        assert it.ranges[50][0] < it.percentiles[50] < it.ranges[50][1]
    by_assistant = views.timing(by="assistant_id")
    assert [(it.group["assistant_id"], it.phase) for it in by_assistant] == [
        *(("asst_1", phase) for phase in ("queued", "running", "total")),
        *(("asst_2", phase) for phase in ("queued", "running", "total")),
    ]
    assert list(by_assistant[0].percentiles) == [50, 95, 99]
    assert views.timing(since=second(1000)) == []


def test_usage_that_nobody_reported_is_not_zero(views: Views) -> None:
    rows = {it.group["model"]: it for it in views.usage()}

    assert values_of(rows["gpt-4o"])[1:8] == (2, 0, 10, None, 11, 3, None)
    assert values_of(rows[None])[1:8] == (1, 1, None, None, None, None, None)
    by_two = views.usage(by=("outcome", "source"))
    assert [(tuple(it.group.values()), it.runs) for it in by_two] == [
        (("completed", "assistants"), 2),
        (("failed", "assistants"), 1),
    ]
    assert views.usage(by=None)[0].runs == 3
    assert views.usage(by=None, since=second(1000)) == views.usage(since=second(1000)) == []


def test_days_and_hours_are_those_of_a_time_zone(database_url: str) -> None:
    # Clocks in Berlin went back at 01:00 UTC: the hour from two to three occurred twice.
    night = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
    store = open_event_store("memory://")
    for number in range(12):
        moment = night + timedelta(minutes=30 * number)
        end = ended(e.RunCompleted, 1, stamp=None, since=0, usage=Usage(total_tokens=1))
        add_run(store, f"run_{number}", end, occurred_at=moment)
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        days = views.usage(by="day", tz="Europe/Berlin")
        hours = views.usage(by=("hour", "source"), tz="Europe/Berlin")
        in_utc = views.usage(by=["day"])

    assert [(it.group["day"], it.runs) for it in days] == [
        (date(2026, 10, 24), 1),
        (date(2026, 10, 25), 11),
    ]
    assert [(str(it.group["hour"]), it.total_tokens) for it in hours] == [
        ("2026-10-24 23:00:00+02:00", 1),
        ("2026-10-25 00:00:00+02:00", 2),
        ("2026-10-25 01:00:00+02:00", 2),
        ("2026-10-25 02:00:00+02:00", 2),
        ("2026-10-25 02:00:00+01:00", 2),
        ("2026-10-25 03:00:00+01:00", 2),
        ("2026-10-25 04:00:00+01:00", 1),
    ]
    assert [it.runs for it in in_utc] == [5, 7]


def test_counts_beyond_all_reason_do_not_drown_the_others(database_url: str) -> None:
    store = open_event_store("memory://")
    most = 10**12
    for number in range(3):
        end = ended(e.RunCompleted, 1, stamp=1, since=0, usage=Usage(total_tokens=most - number))
        add_run(store, f"run_{number}", end)
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        assert views.usage()[0].total_tokens == 3 * most - 3
        absurd = Usage(prompt_tokens=7, total_tokens=2**63 - 1)
        add_run(store, "run_3", ended(e.RunCompleted, 1, stamp=1, since=0, usage=absurd))
        views.catch_up()
        assert values_of(views.usage()[0])[3:6] == (7, None, 3 * most - 3)
        assert views.run("run_3").total_tokens is None


def test_statuses_are_counted(views: Views) -> None:
    assert views.status_counts() == [
        StatusCount({}, "busy", 1),
        StatusCount({}, "completed", 2),
        StatusCount({}, "failed", 1),
        StatusCount({}, "requires_action", 1),
    ]
    assert StatusCount({"source": "other"}, "busy", 1) in views.status_counts(by="source")


def test_what_cannot_be_used_is_named(views: Views) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for call, words in (
        (lambda: views.usage(by="metadata"), "'metadata' is not something to group by: source"),
        (lambda: views.timing(by="metadata."), "is not something to group by"),
        (lambda: views.usage(tz="Mars/Olympus"), "no time zone 'Mars/Olympus'"),
        (lambda: views.timing(percentiles=(0,)), "above 0 and up to 100"),
        (lambda: views.runs(since=naive), "since needs a time zone"),
        (lambda: views.runs(limit=-1), "limit"),
    ):
        with pytest.raises(SettingsError, match=words):
            call()
