"""What the views answer, as tables for people and JSON for machines."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from projections import Views
from projections.maintenance.verify import Difference
from tracker.cli.terminal import UNKNOWN, bar, console, show, table, visible

PERCENTILES = (50, 95, 99)
# Text up to this length stays on one line, so that a heading of two words gives way first.
_UNBROKEN = 20
_HEADINGS = {
    "runs_without_usage": "no usage",
    "unpriced_runs": "unpriced",
    "input_dollars": "input $",
    "output_dollars": "output $",
    "total_dollars": "total $",
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "total_tokens": "total",
    "cached_tokens": "cached",
    "reasoning_tokens": "reasoning",
    "mean_seconds": "mean s",
    "uncertainty_seconds": "± s",
    "assistant_id": "assistant",
    "thread_id": "thread",
}


@contextmanager
def existing(db: str) -> Iterator[Views]:
    """The views of a database that exists; its tables are made if it has none."""
    with Views(db) as views:
        views.prepare()
        yield views


@contextmanager
def opened(db: str, *, quiet: bool = False) -> Iterator[Views]:
    """The views of a database that exists, brought up to its last event."""
    with existing(db) as views:
        if quiet:
            views.catch_up()
        else:
            with_progress(views)
        yield views


def with_progress(views: Views) -> int:
    """Catches up, with a bar on the terminal where it takes time; gives the events applied."""
    with moving("catching up") as moved:
        return views.catch_up(moved)


@contextmanager
def moving(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal for what takes time, told the position reached and the last one."""
    with bar(TextColumn(what), BarColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=None)

        def moved(position: int, last: int) -> None:
            if position < last:
                progress.start()
            progress.update(task, completed=position, total=last)

        yield moved


def print_status(
    views: Views,
    *,
    by: str | None = None,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints how many runs are in each status."""
    found = views.status_counts(by=_columns(by), since=utc(since), until=utc(until), tz=tz)
    _print("runs by status", found.records(), json=json)


def print_timing(
    views: Views,
    *,
    by: str | None = None,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints how long the phases took."""
    found = views.timing(
        by=_columns(by), percentiles=PERCENTILES, since=utc(since), until=utc(until), tz=tz
    )
    _print("seconds by phase", found.records(), json=json)


def print_usage(
    views: Views,
    *,
    by: str,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints the tokens that runs used."""
    found = views.usage(by=_columns(by) or (), since=utc(since), until=utc(until), tz=tz)
    grouped = ", ".join(_columns(by) or ())
    _print(f"tokens by {grouped}" if grouped else "tokens", found.records(), json=json)


def print_cost(
    views: Views,
    *,
    by: str,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints what runs cost; for people, what they were priced with stands above."""
    found = views.cost(by=_columns(by) or (), since=utc(since), until=utc(until), tz=tz)
    rows = found.records()
    grouped = ", ".join(_columns(by) or ())
    title = f"dollars by {grouped}" if grouped else "dollars"
    if not json:
        versions = sorted({version for row in rows for version in row.pop("price_versions")})
        title = f"{title}, price version {', '.join(versions)}" if versions else title
    _print(title, rows, json=json)


def print_unpriced(views: Views, *, json: bool) -> None:
    """Prints the models that have no price."""
    _print("runs of models without a price", views.unpriced().records(), json=json)


def print_actions(views: Views, run: str | None, *, waiting: bool, json: bool) -> None:
    """Prints what runs waited for, call by call, or wait for now."""
    rows = views.actions(run, waiting=waiting).records()
    if not json:
        shown = ("run_key", "name", "arguments", "required_at", "waited_seconds")
        rows = [{name: row[name] for name in shown} for row in rows]
    _print("waiting for" if waiting else "actions", rows, json=json)


def print_stuck(views: Views, *, limit: int | None, json: bool) -> None:
    """Prints the runs that should have ended by now."""
    rows = views.stuck(limit=limit).records()
    if not json:
        shown = ("run_key", "status", "reason", "age_seconds", "usual_seconds", "silent_seconds")
        rows = [{name: row[name] for name in shown} for row in rows]
    _print("stuck runs", rows, json=json)


def print_differences(differences: Sequence[Difference]) -> None:
    """Prints what the tables have that the events do not say."""
    for it in differences:
        key = ", ".join(map(str, it.key))
        if it.column is not None:
            said = f"{it.column} is {it.found!r}, the events say {it.expected!r}"
        else:
            said = "is in the table only" if it.expected is None else "is missing"
        console().print(Text(visible(f"{it.table} ({key}): {said}")))


def print_json(document: object) -> None:
    """Prints a document on the standard output, times in ISO 8601."""
    sys.stdout.write(json_module.dumps(document, default=_plain, ensure_ascii=False) + "\n")


def _print(title: str, rows: Sequence[Mapping[str, Any]], *, json: bool) -> None:
    if json:
        print_json(rows)
    else:
        print_rows(title, rows)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows of the same columns as a table; those of numbers to the right."""
    if not rows:
        console().print(f"{title}: none")
        return
    shown = table(title)
    for name in rows[0]:
        if _is_number(name, rows):
            shown.add_column(_heading(name), justify="right", no_wrap=name != "runs_without_usage")
        else:
            longest = max(len(_cell(row[name])) for row in rows)
            shown.add_column(_heading(name), overflow="fold", no_wrap=longest <= _UNBROKEN)
    for row in rows:
        shown.add_row(*(_cell(value) for value in row.values()))
    show(shown)
    console().print()


def _is_number(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    return name.endswith(("_seconds", "_tokens", "_dollars")) or isinstance(
        rows[0][name], int | float
    )


def _heading(name: str) -> str:
    if name.startswith("p") and name.endswith("_seconds") and name not in _HEADINGS:
        return f"{name.removesuffix('_seconds')} s"
    return _HEADINGS.get(name, name)


def _cell(value: object) -> Text:
    if value is None:
        return Text(UNKNOWN)
    if isinstance(value, float):
        return Text(f"{value:,.2f}")
    if isinstance(value, Decimal):
        return Text(f"{value:,.6f}")
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d %H:%M %Z}")
    return Text(f"{value:,}" if isinstance(value, int) else visible(str(value)))


def _columns(by: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in by.split(",") if name.strip()) if by else None


def utc(moment: datetime | None) -> datetime | None:
    """A moment as somebody typed it: in UTC, unless they said otherwise."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        # A number of JSON would be a float to most who read it.
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} has no JSON")
