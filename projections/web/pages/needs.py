"""The runs that somebody has to look at: those that wait for us, and those that are stuck."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from projections.row_types import ActionRow, OpenRunRow, StuckRow
from projections.web import page_queries
from projections.web.page import Page
from projections.web.words import count_noun, describe_status, format_duration
from tracker.core.status import REQUIRES_ACTION

MOST_NEEDS = 20
# More stuck runs than this are not counted.
_MOST_STUCK = 200


class Need(NamedTuple):
    """One run that somebody has to look at."""

    # `requires_action`, `overdue` or `slow`.
    css: str
    # How long already, and what else there is to know of the time.
    age: str
    note: str
    title: str
    text: str
    # True if the text is the arguments of a call.
    is_code: bool
    run: OpenRunRow | StuckRow


class Needs(NamedTuple):
    """The first runs that somebody has to look at, and the numbers of all."""

    items: list[Need]
    waiting: int
    stuck: int
    has_more_stuck: bool

    @property
    def more(self) -> int:
        """Returns the number of runs that are not listed."""
        return max(0, self.waiting + self.stuck - len(self.items))

    @property
    def summary(self) -> str:
        """Returns the numbers in words."""
        waiting = f"{count_noun(self.waiting, 'run')} " + ("waits" if self.waiting == 1 else "wait")
        stuck = f"{self.stuck:,}{' or more' if self.has_more_stuck else ''} stuck"
        parts = [f"{waiting} for an answer of ours"] if self.waiting else []
        return ", ".join(parts + ([stuck] if self.stuck else []))


def read_needs(page: Page) -> Needs:
    """Returns the runs that wait for us, oldest first, then the overdue, then the slow ones."""
    with page.answers.connect() as connection:
        number = page_queries.count_open(connection, REQUIRES_ACTION)
    waiting = page.answers.open_runs(status=REQUIRES_ACTION, now=page.now, limit=MOST_NEEDS)
    with page.answers.connect() as connection:
        calls = page_queries.find_waiting_actions(connection, [it.run_key for it in waiting])
    found = page.answers.stuck(now=page.now, limit=_MOST_STUCK + 1)
    has_more = len(found) > _MOST_STUCK
    stuck = [it for it in found[:_MOST_STUCK] if it.status != REQUIRES_ACTION]
    dated = sorted(
        ((_waits_since(run, calls[run.run_key]), run) for run in waiting),
        key=lambda it: (it[0], it[1].run_key),
    )
    items = [
        _make_waiting(page, run, calls[run.run_key], (page.now - since).total_seconds())
        for since, run in dated
    ]
    items += [_make_overdue(page, it) for it in stuck if it.reason == "overdue"]
    items += [_make_slow(it) for it in stuck if it.reason != "overdue"]
    return Needs(items[:MOST_NEEDS], number, len(stuck), has_more)


def _waits_since(run: OpenRunRow, calls: list[ActionRow]) -> datetime:
    if calls:
        return min(it.required_at for it in calls)
    return run.phases[-1].entered_at if run.phases else run.last_changed_at


def _make_waiting(page: Page, run: OpenRunRow, calls: list[ActionRow], age: float) -> Need:
    note = ""
    if run.expires_at is not None:
        left = (run.expires_at - page.now).total_seconds()
        note = (
            f"expires in {format_duration(left)}"
            if left >= 0
            else f"overdue by {format_duration(-left)}"
        )
    first = calls[0] if calls else None
    title = (first.name or first.type) if first is not None else None
    more = f" and {count_noun(len(calls) - 1, 'more call')}" if len(calls) > 1 else ""
    arguments = first.arguments if first is not None else None
    return Need(
        "requires_action",
        format_duration(age),
        note,
        f"{title or 'An unknown call'}{more}",
        arguments or "",
        bool(arguments),
        run,
    )


def _make_overdue(page: Page, run: StuckRow) -> Need:
    assert run.expires_at is not None
    late = format_duration((page.now - run.expires_at).total_seconds())
    text = f"{describe_status(run.status)}, nothing new for {format_duration(run.silent_seconds)}"
    if run.usual_seconds is not None:
        text += f"; 99 of 100 of its kind take at most {format_duration(run.usual_seconds)}"
    age = format_duration(run.age_seconds)
    title = f"Overdue: should have ended {late} ago"
    return Need("overdue", age, "since it began", title, text, False, run)


def _make_slow(run: StuckRow) -> Need:
    usual = run.usual_seconds or 1.0
    times = run.age_seconds / max(usual, 0.001)
    title = f"Slow: {times:,.0f} times as long as 99 of 100 of its kind"
    text = (
        f"{describe_status(run.status)}, nothing new for {format_duration(run.silent_seconds)}; "
        f"usually at most {format_duration(usual)}"
    )
    age = format_duration(run.age_seconds)
    return Need("slow", age, "since it began", title, text, False, run)
