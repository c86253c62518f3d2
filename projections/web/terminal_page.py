"""The first page in a terminal: the same words, cut to its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.row_types import OpenRunRow, RunRow
from projections.views import Views
from projections.web import page_queries
from projections.web.page import Page
from projections.web.page_maker import PageMaker
from projections.web.pages.needs import Need, read_needs
from projections.web.words import (
    describe_status,
    escape_unsafe,
    format_duration,
    format_percent,
    shorten,
    shorten_id,
)

_LAST = 50


def make_lines(
    views: Views,
    sources: Sequence[Any],
    width: int,
    height: int,
    *,
    tz: str | None = None,
    maker: PageMaker | None = None,
) -> list[str]:
    """Returns the lines of the view, at most `height` of at most `width` characters.

    Lists are cut with a line that says how much more there is; values are never cut.
    """
    maker = maker or PageMaker(views, tz=tz)
    with maker.open("", {}) as page:
        needs = read_needs(page)
        with page.answers.connect() as connection:
            number = page_queries.count_open(connection)
            ended = page_queries.find_last_ended(connection, _LAST)
        opened = page.answers.open_runs(now=page.now, limit=_LAST)
        since = page.time.parse("today")
        counts = page.answers.status_counts(since=since, tz=page.time.name)
        today = sum(it.runs for it in counts)
        failed = sum(it.runs for it in counts if it.status == "failed")
        behind = f", {page.freshness.behind:,} events not in yet" if page.freshness.behind else ""
        status = (
            f"runfold  {page.time.format_full(page.now)}  {today:,} today, "
            f"{format_percent(failed, today)} failed, {number:,} open{behind}"
        )
        sections = [
            (
                f"Needs you now: {needs.summary or 'nothing'}",
                [_write_need(page, it, width) for it in needs.items],
                needs.more,
            ),
            (
                f"Open: {number:,}",
                [_write_open(page, it, width) for it in opened],
                max(0, number - len(opened)),
            ),
            ("Last ended", [_write_ended(page, it, width) for it in ended], None),
            ("Sources", [_write_source(it) for it in sources] or ["  no tracker polls now"], 0),
        ]
    return [_fit(line, width) for line in _lay_out(status, sections, height)]


def _lay_out(
    status: str, sections: Sequence[tuple[str, list[str], int | None]], height: int
) -> list[str]:
    """Returns all lines, with as many of each list as there is room for, shared evenly.

    Each list has the number of what it leaves out already; None if nobody counts that.
    """
    room = height - 1 - 2 * len(sections)
    shares = dict.fromkeys(range(len(sections)), 0)
    needed = {at: len(rows) + bool(more) for at, (_, rows, more) in enumerate(sections)}
    while room > 0 and any(shares[at] < needed[at] for at in shares):
        for at in shares:
            if room > 0 and shares[at] < needed[at]:
                shares[at], room = shares[at] + 1, room - 1
    lines = [status]
    for at, (title, rows, more) in enumerate(sections):
        lines += ["", title]
        shown = shares[at]
        if more is None:
            lines += rows[:shown]
        elif shown < needed[at] or more:
            kept = rows[: max(0, shown - 1)]
            left = len(rows) - len(kept) + more
            lines += [*kept, f"  and {left:,} more"] if shown else []
        else:
            lines += rows
    return lines[:height]


def _write_need(page: Page, need: Need, width: int) -> str:
    run = f"{shorten_id(need.run.run_id)}"
    assistant = shorten(page.name_of(need.run.assistant_id) or "", 16)
    head = f"  {need.age:<12} {run:<12} {assistant:<16} {need.title}"
    text = f"  {need.text}" if need.is_code else ""
    return _end(f"{head}{text}", width)


def _write_open(page: Page, run: OpenRunRow, width: int) -> str:
    age = format_duration((page.now - run.created_at).total_seconds())
    assistant = shorten(page.name_of(run.assistant_id) or "", 16)
    status = shorten(describe_status(run.status), 16)
    return _end(
        f"  {age:<12} {shorten_id(run.run_id):<12} {assistant:<16} {status:<16} "
        f"{shorten(page.name_of(run.model) or '', 16)}",
        width,
    )


def _write_ended(page: Page, run: RunRow, width: int) -> str:
    when = page.time.format_clock(run.ended_at or run.created_at, page.now)
    assistant = shorten(page.name_of(run.assistant_id) or "", 16)
    status = shorten(describe_status(run.outcome or run.status), 16)
    code = shorten(run.error_code or "", 20)
    return _end(
        f"  {when:<15} {shorten_id(run.run_id):<12} {assistant:<16} {status:<14} "
        f"{format_duration(run.total_seconds)}{'  ' + code if code else ''}",
        width,
    )


def _write_source(report: Any) -> str:
    return (
        f"  {shorten(report.source, 16):<16} {report.state:<8} {report.watched:,} watched, "
        f"{report.due:,} due, {report.rate:.1f}/s"
    )


def _fit(line: str, width: int) -> str:
    return _end(escape_unsafe(line.replace("\n", " ")).rstrip(), width)


def _end(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
