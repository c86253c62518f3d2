"""One answer by every path: from rollups and from rows, before and after a prune, on both sides."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from tests.support.command_line import runfold
from tests.support.cost_fixtures import price_list
from tests.support.run_builder import BIRTH, created, ended, second, started
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.errors import SettingsError, UnknownRun
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration

USAGE = Usage(prompt_tokens=5, completion_tokens=1, total_tokens=6)
ENDS = (e.RunCompleted, e.RunFailed, e.RunCancelled)


def add_run(
    store: EventStore, run_id: str, end: type[e.RunEnded] | None = e.RunCompleted, **more: Any
) -> None:
    """Records a run, ended or open."""
    events: list[e.Event] = [
        created(run_id=run_id, **{"model": "gpt-4o", "metadata": {}, **more}),
        started(2, stamp=1, since=1),
    ]
    if end is not None:
        events.append(ended(end, 20, stamp=19, since=12, usage=USAGE))
    store.append([Append(f"{more.get('source', 'assistants')}:{run_id}", 0, events)])


@pytest.fixture
def store() -> Iterator[EventStore]:
    with closing(open_event_store("memory://")) as store:
        yield store


@pytest.fixture
def views(database_url: str, store: EventStore) -> Iterator[Views]:
    with Views(database_url, store=store, prices=price_list("gpt-4o")) as views:
        views.upgrade()
        yield views


def test_outcome_and_status_are_kept_after_a_prune(views: Views, store: EventStore) -> None:
    for number, end in enumerate((*ENDS, e.RunCompleted, None)):
        add_run(store, f"run_{number}", end)
    views.catch_up()

    def ask() -> list[object]:
        return [
            question(by=by)
            for question in (views.timing, views.usage, views.cost, views.status_counts)
            for by in (
                "outcome",
                "status",
                ("status", "model"),
                ("day", "status", "outcome"),
                ("hour", "status"),
            )
        ]

    before = ask()
    by_status = {row.group["status"]: row.runs for row in views.usage(by="status")}
    assert by_status == {"completed": 2, "failed": 1, "cancelled": 1}
    timing = views.timing(by="outcome")
    assert {row.group["outcome"] for row in timing if row.phase == "total"} == set(by_status)
    assert views.usage(by=("status", "outcome"))[0].group == {
        "status": "cancelled",
        "outcome": "cancelled",
    }
    assert views.prune(second(3600)).runs == 4
    assert ask() == before
    views.rebuild()
    assert ask() == before
    assert views.verify() == []


FRACTIONS = (0, 1, 500, 499_500, 999_499, 999_500, 999_501, 999_999)


def test_a_run_is_of_one_day_by_every_path(views: Views, store: EventStore) -> None:
    births = {}
    for year in (1969, 2026):
        for fraction in FRACTIONS:
            run_id = f"run_{year}_{fraction}"
            birth = births[run_id] = datetime(year, 12, 31, 23, 59, 59, fraction, tzinfo=UTC)
            events: list[e.Event] = [
                created(run_id=run_id, occurred_at=birth, thread_id=run_id, metadata={"k": run_id}),
                ended(e.RunCompleted, 20, stamp=19, since=12),
            ]
            store.append([Append(f"assistants:{run_id}", 0, events)])
    views.catch_up()
    for name in ("thread_id", "metadata.k"):
        for question in (views.usage, views.status_counts):
            days = {row.group[name]: row.group["day"] for row in question(by=(name, "day"))}
            assert days == {run_id: birth.date() for run_id, birth in births.items()}
            hours = {row.group[name]: row.group["hour"] for row in question(by=(name, "hour"))}
            start = {"minute": 0, "second": 0, "microsecond": 0}
            assert hours == {run_id: birth.replace(**start) for run_id, birth in births.items()}
    for by in ("day", ("day", "status"), ("day", "model")):
        found = {row.group["day"]: row.runs for row in views.usage(by=by)}
        assert found == {date(year, 12, 31): len(FRACTIONS) for year in (1969, 2026)}
    last = max(births.values())
    assert [row.runs for row in views.usage(by=("day", "thread_id"), since=last)] == [1]
    later = last + timedelta(microseconds=1)
    assert views.usage(by=("day", "thread_id"), since=later) == []


def test_an_empty_text_is_the_same_group_as_none(views: Views, store: EventStore) -> None:
    for number, value in enumerate(("", None, "x")):
        more = {"thread_id": value, "assistant_id": value, "model": value}
        add_run(store, f"run_{number}", **more, metadata={"k": value} if number else {})
        add_run(store, f"open_{number}", None, **more, metadata={"k": value})
    views.catch_up()
    names = ("thread_id", "assistant_id", "model", "metadata.k")
    for name in names:
        # By an hour and a half: one whole quarter, and two partial ones.
        for limits in ({}, {"since": BIRTH, "until": second(1)}):
            for by in (name, (name, "thread_id"), ("metadata.k", name)):
                for question in (views.usage, views.cost):
                    rows = question(by=by, **limits)
                    found = {row.group[name]: row.runs for row in rows}
                    assert found == {"x": 1, None: 2}
                timing = views.timing(by=by, **limits)
                total = {row.group[name]: row.runs for row in timing if row.phase == "total"}
                assert total == {"x": 1, None: 2}
                counts = {
                    (row.group[name], row.status): row.runs
                    for row in views.status_counts(by=by, **limits)
                }
                assert counts == {
                    ("x", "completed"): 1,
                    (None, "completed"): 2,
                    ("x", "in_progress"): 1,
                    (None, "in_progress"): 2,
                }


@pytest.mark.parametrize("ends", [(ENDS[0], ENDS[0]), (None, ENDS[0]), (None, None)])
def test_a_run_of_two_sources_has_to_be_named(
    database_url: str, views: Views, store: EventStore, ends: tuple[Any, Any]
) -> None:
    add_run(store, "r1", ends[0])
    add_run(store, "r1", ends[1], source="other")
    add_run(store, "r2", ends[1], source="other")
    views.catch_up()

    def check() -> None:
        for call in (views.run, views.phases, views.actions, views.steps):
            with pytest.raises(SettingsError, match=r"'r1': assistants, other; .*--source"):
                call("r1")
        assert views.run("r1", "assistants").source == "assistants"
        assert views.phases("r1", "other")[0].run_key == "other:r1"
        assert views.run("r2").source == "other"
        with pytest.raises(UnknownRun):
            views.run("r3")

    check()
    engine = open_engine(database_url)
    with engine.begin() as connection:
        # The rollups are behind the rows.
        connection.execute(text("DELETE FROM usage_totals"))
        behind = "UPDATE runfold_checkpoints SET position = 0 WHERE projection = 'usage'"
        connection.execute(text(behind))
    engine.dispose()
    check()


def test_the_command_line_names_the_sources(database_url: str) -> None:
    with closing(open_event_store(database_url)) as store:
        add_run(store, "r1")
        add_run(store, "r1", source="other")
    for command in ("history", "actions"):
        done = runfold(command, "r1", "--db", database_url)
        assert done.code == 2
        assert "assistants, other" in done.message
        assert "--source" in done.message
        named = runfold(command, "r1", "--source", "other", "--json", "--db", database_url)
        assert named.code == 0
    assert runfold("history", "r1", "--source", "other", "--db", database_url).code == 0
