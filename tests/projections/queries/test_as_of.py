"""Answers as of any position and moment, for runs recorded in any order."""

import gc
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import Views
from projections.answers import Answers
from tests.support.examples import examples
from tests.support.generated_runs import second
from tests.support.reference_fold import appends
from tests.support.run_builder import created, ended, started, waiting
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.errors import SettingsError
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration


def ask_everything(answers: Answers) -> list[object]:
    runs = sorted(answers.runs(), key=lambda it: it.run_key)
    return [
        runs,
        [answers.phases(run.run_id) for run in runs],
        [answers.steps(run.run_id) for run in runs],
        answers.actions(),
        answers.status_counts(),
        answers.usage(by=("day", "model")),
        answers.timing(),
    ]


@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(appends(), st.data())
def test_a_position_gives_what_catching_up_then_would_have(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Append], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("past")
    store, then_store = open_event_store("memory://"), open_event_store("memory://")
    place = data.draw(st.integers(0, len(steps)))
    for step in steps[:place]:
        then_store.append([step])
    for step in steps:
        store.append([step])
    with (
        Views(f"sqlite:///{folder / 'now.db'}", store=store) as views,
        Views(f"sqlite:///{folder / 'then.db'}", store=then_store) as then,
    ):
        for each in (views, then):
            each.upgrade()
            each.catch_up()
        with views.as_of(place) as past:
            assert ask_everything(past) == ask_everything(then)
        # A position beyond the last one gives the current state.
        with views.as_of(len(steps) + 7) as past:
            assert ask_everything(past) == ask_everything(views)


STORY = [
    created(),
    started(2, stamp=1, since=1),
    waiting(10, since=8),
    ended(e.RunCompleted, 20, stamp=19, since=12, usage=Usage(total_tokens=7)),
    e.RunUsageReported(observed_at=second(90), usage=Usage(total_tokens=9)),
]


@pytest.fixture
def views(database_url: str) -> Iterator[Views]:
    """Yields views of one run recorded live, and of another that was imported later."""
    store: EventStore = open_event_store("memory://")
    for version, event in enumerate(STORY):
        store.append([Append("assistants:run_1", version, [event])])
    imported = [created(run_id="run_2", observed_at=second(5)), *STORY[1:3]]
    store.append([Append("assistants:run_2", 0, imported)])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


@pytest.mark.parametrize(
    ("seconds", "statuses", "tokens"),
    [
        (-1, [], []),
        (1, ["queued"], [None]),
        (5, ["in_progress", "in_progress"], [None, None]),
        (19, ["requires_action", "requires_action"], [None, None]),
        (89, ["completed", "requires_action"], [7, None]),
        (90, ["completed", "requires_action"], [9, None]),
    ],
)
def test_a_moment_gives_what_had_been_observed_by_then(
    views: Views, seconds: float, statuses: list[str], tokens: list[int | None]
) -> None:
    with views.as_of(second(seconds) + timedelta(milliseconds=500)) as past:
        runs = sorted(past.runs(), key=lambda it: it.run_key)
        assert [it.status for it in runs] == statuses
        assert [it.total_tokens for it in runs] == tokens
    # The temporary files are deleted, and the tables are unchanged.
    assert [it.status for it in sorted(views.runs(), key=lambda it: it.run_key)] == [
        "completed",
        "requires_action",
    ]


def test_runs_that_were_stuck_then_are_as_old_as_they_were(views: Views) -> None:
    overdue = views.as_of(second(700)).stuck()
    assert [(it.run_id, it.reason, it.age_seconds) for it in overdue] == [
        ("run_2", "overdue", pytest.approx(700, abs=0.01))
    ]
    assert views.as_of(second(500)).stuck() == []


def test_its_file_goes_with_it(
    views: Views, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path = tmp_path / "past"
    tmp_path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    past = views.as_of(3)
    assert list(tmp_path.iterdir()) == []
    assert past.run("run_1").status == "requires_action"
    assert len(list(tmp_path.iterdir())) == 1
    past.close()
    assert list(tmp_path.iterdir()) == []
    assert past.run("run_1").version == 3
    del past
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_none(views: Views) -> None:
    with pytest.raises(SettingsError, match="needs a time zone"):
        views.as_of(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(SettingsError, match="0 or more"):
        views.as_of(-1)
