"""An alert on runs that should have ended: each is told once, and again if it comes back."""

from collections.abc import Callable

from projections import StuckRow, Views
from tracker import Tracker


def alert_on_stuck(
    tracker: Tracker, views: Views, send: Callable[[StuckRow], object], *, every: float = 60
) -> None:
    """Calls `send` for each run that becomes stuck, while the tracker is open.

    If `send` raises, it is called again the next time.
    """
    told: set[str] = set()

    def check() -> None:
        stuck = {row.run_key: row for row in views.stuck(limit=100)}
        told.intersection_update(stuck)
        for key, row in stuck.items():
            if key not in told:
                send(row)
                told.add(key)

    # The tables have to be up to date: a run that ended is not stuck.
    tracker.follow(views)
    tracker.every(every, check, name="alert on stuck runs")
