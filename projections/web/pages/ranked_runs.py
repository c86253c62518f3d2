"""Lists of runs with their phase bars, the slowest and the dearest among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from projections.row_types import RunRow
from projections.web import page_queries
from projections.web.drawing.timelines import draw_phase_bar
from projections.web.page import Page, phase_seconds
from projections.web.time_range import TimeRange

MOST_RANKED = 8


class RunLine(NamedTuple):
    """A run in a table, with its phase bar."""

    run: RunRow
    bar: Markup


def make_lines(page: Page, found: Sequence[RunRow], *, is_one_scale: bool = False) -> list[RunLine]:
    """Returns runs with their phase bars; with `is_one_scale`, the longest fills its bar."""
    with page.answers.connect() as connection:
        phases = page_queries.find_phases_of(connection, [it.run_key for it in found])
    longest = max((it.total_seconds or 0 for it in found), default=0) or 1
    return [
        RunLine(
            it,
            draw_phase_bar(
                phase_seconds(phases[it.run_key], page.now),
                (it.total_seconds or 0) / longest if is_one_scale else 1.0,
            ),
        )
        for it in found
    ]


class Ranking(NamedTuple):
    """Runs by an order, and what was looked at."""

    lines: list[RunLine]
    note: str


def read_slowest(page: Page, chosen: TimeRange) -> Ranking:
    """Returns the slowest runs of a range."""
    found = page.answers.runs(
        order="slowest", since=chosen.since, until=chosen.limit, limit=MOST_RANKED
    )
    note = "On one scale, so that bars compare"
    return Ranking(make_lines(page, found, is_one_scale=True), _add_note(note, found.note))


def read_dearest(page: Page, chosen: TimeRange) -> Ranking:
    """Returns the dearest runs of a range."""
    found = page.answers.runs(
        order="dearest", since=chosen.since, until=chosen.limit, limit=MOST_RANKED
    )
    note = "Each bar shows how the run spent its time"
    return Ranking(make_lines(page, found), _add_note(note, found.note))


def _add_note(text: str, note: str | None) -> str:
    return f"{text}; {note}" if note else text
