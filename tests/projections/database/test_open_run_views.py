"""Views of open and stuck runs, compared with the answers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from tests.support.run_builder import created, ended, started
from tracker.core import events as e
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration


def make_events(run_id: str, age: float, lasted: float | None, expires: float) -> Iterator[e.Event]:
    begun = datetime.now(UTC) - timedelta(seconds=age)
    yield created(
        run_id=run_id,
        occurred_at=begun,
        observed_at=begun,
        assistant_id="asst_1",
        expires_at=begun + timedelta(seconds=expires),
    )
    yield started(1, stamp=None, since=None)
    for status in ("suspended", "failed", "ready", "expired")[
        : int(run_id.partition("env_")[2] or 0)
    ]:
        yield e.EnvironmentReported(observed_at=begun, environment_id="env_1", status=status)
    if lasted is not None:
        end = ended(e.RunCompleted, 1, stamp=None, since=0)
        yield end.model_copy(update={"occurred_at": begun + timedelta(seconds=lasted)})


def test_the_views_of_open_runs_say_what_the_answers_say(database_url: str) -> None:
    store = open_event_store("memory://")
    # How many statuses of an environment were told: the last is the third, which is `ready`.
    lives = {f"env_{it}": (20 - it, None, 9000) for it in (1, 2, 3, 4)}
    lives |= {f"done_{it}": (90_000, 100.0, 600) for it in range(20)}
    # Over 300 s is slow if 100 s are usual; the margin of minutes is for slow machines.
    lives |= {"slow": (1000, None, 9000), "overdue": (800, None, 100), "young": (10, None, 900)}
    for run_id, told in lives.items():
        store.append([Append(f"assistants:{run_id}", 0, list(make_events(run_id, *told)))])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        found = views.stuck()
        is_open = [run.run_key for run in views.runs(status="in_progress")]
    assert [(it.run_id, it.reason) for it in found] == [
        ("slow", "slow"),
        ("overdue", "overdue"),
        ("env_1", "environment suspended"),
        ("env_2", "environment failed"),
        ("env_4", "environment expired"),
    ]
    engine = open_engine(database_url)
    with engine.connect() as connection:
        query = text("SELECT run_key, reason, age_seconds, usual_seconds FROM stuck_runs")
        stuck = connection.execute(query).all()
        query = text("SELECT run_key FROM open_runs ORDER BY created_at DESC")
        assert list(connection.execute(query).scalars()) == is_open
    engine.dispose()
    assert {it[:2] for it in stuck} == {(it.run_key, it.reason) for it in found}
    ages = {it.run_key: it for it in found}
    for key, _, age, usual in stuck:
        assert age == pytest.approx(ages[key].age_seconds, abs=60)
        assert usual == ages[key].usual_seconds == pytest.approx(100, rel=0.01)
