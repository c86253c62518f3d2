"""The page of a thread: its runs on one time axis, and in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from projections.row_types import PhaseRow, RunRow
from projections.web import page_queries
from projections.web.drawing.time_axis import Fold, TimeAxis
from projections.web.drawing.timelines import (
    MOST_BARS,
    MOST_LANES,
    Lane,
    draw_fold_axis,
    draw_thread_run,
    open_span,
)
from projections.web.page import Page, phase_seconds
from projections.web.words import (
    describe_status,
    format_count,
    format_duration,
    is_whole,
    shorten_id,
)
from tracker.errors import UnknownRun

ROWS = 100
_FOLD_WIDTH = 4.0
# A pause is folded if it is longer than this share of all the time that runs took.
_PAUSE_SHARE = 0.04


class ThreadRun(NamedTuple):
    """A run of a thread with the pause before it, in seconds."""

    run: RunRow
    seconds: float
    pause: float | None


def gather(page: Page, source: str, thread_id: str) -> dict[str, Any]:
    """Returns the values of the page. Raises UnknownRun for a thread without runs."""
    cursor = page.params.get("cursor") or None
    newest = page.answers.runs(thread_id=thread_id, source=source, cursor=cursor, limit=ROWS)
    older = page.here(cursor=newest.next_cursor) if newest.next_cursor else None
    found = list(newest)[::-1]
    with page.answers.connect() as connection:
        phases = page_queries.find_phases_of(connection, [it.run_key for it in found])
    if not found:
        raise UnknownRun(
            f"no runs of a thread {thread_id!r} in the tables; if new, catch up first; "
            "if old, they may be pruned"
        )
    rows = _make_rows(found, page.now)
    tokens = [it.run.total_tokens for it in rows if it.run.total_tokens is not None]
    money = [it.run.total_dollars for it in rows if it.run.total_dollars is not None]
    axis, lanes, left_out = _draw(page, rows, phases)
    assistants = sorted({it.run.assistant_id for it in rows if it.run.assistant_id})
    return {
        "thread_id": thread_id,
        "source": source,
        "rows": rows,
        "assistants": assistants,
        "first": rows[0].run.created_at,
        "last": max(it.run.ended_at or page.now for it in rows),
        "seconds": format_duration(sum(it.seconds for it in rows)),
        "tokens": format_count(sum(tokens)) if tokens else None,
        "dollars": sum(money) if money else None,
        "axis": draw_fold_axis(axis),
        "lanes": lanes,
        "left_out": left_out,
        "statuses": _list_statuses(phases),
        "older_url": older,
        "newest_url": page.here(cursor=None) if cursor else None,
    }


def _make_rows(found: Sequence[RunRow], now: datetime) -> list[ThreadRun]:
    rows: list[ThreadRun] = []
    before: datetime | None = None
    for run in found:
        end = run.ended_at or now
        pause = None if before is None else (run.created_at - before).total_seconds()
        rows.append(ThreadRun(run, max(0.0, (end - run.created_at).total_seconds()), pause))
        before = end if before is None else max(before, end)
    return rows


def _draw(
    page: Page, rows: Sequence[ThreadRun], phases: dict[str, list[PhaseRow]]
) -> tuple[TimeAxis, list[Lane], int]:
    shown = rows[-MOST_LANES:]
    zero = shown[0].run.created_at

    def at(moment: datetime) -> float:
        return (moment - zero).total_seconds()

    spans = []
    for it in shown:
        start = at(it.run.created_at)
        spans.append((start, max(start, at(it.run.ended_at or page.now))))
    busy: list[tuple[float, float]] = []
    reached = float("-inf")
    for start, end in sorted(spans):
        if start <= reached:
            busy[-1] = (busy[-1][0], max(reached, end))
        else:
            busy.append((start, end))
        reached = busy[-1][1]
    taken = sum(end - start for start, end in busy)
    folds = [
        Fold(first[1], second[0])
        for first, second in pairwise(busy)
        if second[0] - first[1] > _PAUSE_SHARE * taken
    ]
    axis = TimeAxis(busy[0][0], busy[-1][1], folds, _FOLD_WIDTH)
    room = max(4, MOST_BARS // len(shown))
    lanes = []
    for it in shown:
        run = it.run
        drawn = [
            open_span(
                phase.status,
                at(phase.entered_at),
                at(phase.left_at or run.ended_at or page.now),
                f"{describe_status(phase.status)} {format_duration(seconds)}",
            )
            for phase, (_, seconds) in zip(
                phases[run.run_key][:room],
                phase_seconds(phases[run.run_key], page.now),
                strict=False,
            )
        ]
        lanes.append(
            Lane(
                shorten_id(run.run_id),
                run.run_id,
                draw_thread_run(axis, drawn),
                _write_length(it),
                url=page.run_url(run),
                status=run.outcome or run.status,
            )
        )
    return axis, lanes, len(rows) - len(shown)


def _write_length(row: ThreadRun) -> str:
    text = format_duration(row.seconds, is_fine=not is_whole(row.seconds))
    return text if row.run.ended_at else f"{text} so far"


def _list_statuses(phases: dict[str, list[PhaseRow]]) -> list[str]:
    return list(dict.fromkeys(phase.status for found in phases.values() for phase in found))
