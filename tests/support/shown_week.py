"""A week of runs such as pages show: that of the demo, and a thread with a run to look at."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random

from projections import Views
from tracker.cli.trial.week import RunLife, Week
from tracker.core import events as e
from tracker.event_store import open_event_store

NOW = datetime(2026, 11, 26, 15, 42, 10, tzinfo=UTC)
SOURCE = "assistants"


def fill_week(url: str, runs: int = 2_000, *, seed: int = 5) -> None:
    """Makes a database of a week that ends at `NOW`, with all tables up to date."""
    rng = Random(seed)
    week = Week(NOW, rng, source=SOURCE)
    lives = week.make_runs(runs)
    appends = week.make_appends([*lives, *_make_thread(week, rng)])
    with closing(open_event_store(url)) as store, Views(url, store=store) as views:
        views.upgrade()
        for at in range(0, len(appends), 500):
            store.append(appends[at : at + 500])
        views.catch_up()


def _make_thread(week: Week, rng: Random) -> list[RunLife]:
    """Returns the runs of one thread, the last of which is a good one to show."""
    lives = []
    for number in range(8):
        birth = NOW - timedelta(seconds=2_900 - number * 200)
        life = RunLife(week, rng, birth.replace(microsecond=0), kind=1)
        if number == 7:
            life.run_id = "run_shown00000000000"
        life.thread_id = "thread_shown0000000000000"
        life.begin()
        life.work(1 + number % 4)
        for call in range(number % 3):
            life.spend(4)
            life.ask(4 + 3 * call, call)
        life.end(e.RunFailed if number == 3 else e.RunCompleted, 5)
        lives.append(life)
    return lives
