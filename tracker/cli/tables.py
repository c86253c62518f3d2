"""Answers of the views, printed as tables for people or as JSON for programs."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tracker.cli.durations import format_duration
from tracker.cli.terminal import UNKNOWN, escape_controls, make_table, print_table, stdout_console

if TYPE_CHECKING:
    from projections import Views
    from projections.row_types import TimingRow

PERCENTILES = (50, 95, 99)
_SHOWN_PERCENTILES = (50, 95)
# Columns of text up to this length are not wrapped.
_UNWRAPPED = 20
_CACHE_WRITE = "cache_write_tokens"
# Left out of tables for people, where there is no room for them.
_LIFETIMES = frozenset(f"cache_write_{it}_tokens" for it in ("5m", "30m", "1h", "12h"))
_HEADINGS = {
    "run_key": "run",
    "runs_without_usage": "no usage",
    "unpriced_runs": "unpriced",
    "input_dollars": "input $",
    "output_dollars": "output $",
    "total_dollars": "total $",
    "prompt_tokens": "prompt",
    "completion_tokens": "output",
    "total_tokens": "total",
    "cached_tokens": "cached",
    "reasoning_tokens": "reasoning",
    _CACHE_WRITE: "written",
    "assistant_id": "assistant",
    "thread_id": "thread",
    "subagent_id": "sub-agent",
}


def print_status(
    views: Views,
    *,
    by: str | None = None,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints the number of runs in each status."""
    counts = views.status_counts(
        by=_parse_columns(by), since=as_utc(since), until=as_utc(until), tz=tz
    )
    _print("runs by status", counts.records(), json=json)


def print_timing(
    views: Views,
    *,
    by: str | None = None,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints the durations of phases."""
    timing = views.timing(
        by=_parse_columns(by),
        percentiles=PERCENTILES,
        since=as_utc(since),
        until=as_utc(until),
        tz=tz,
    )
    if json:
        print_json(timing.records())
        return
    print_rows("time by phase", [_describe_timing(row) for row in timing])
    unknown = sum(row.unknown for row in timing)
    if unknown:
        counted = unknown + sum(row.runs for row in timing)
        stdout_console().print(
            f"{unknown:,} of {counted:,} durations are unknown: in no mean, but in the bounds"
        )


def _describe_timing(row: TimingRow) -> dict[str, Any]:
    """Returns the cells of a row for people, as many as fit on a line."""
    ranges = {
        f"p{percent:g}": format_duration(row.percentiles[percent], *row.ranges[percent])
        for percent in _SHOWN_PERCENTILES
    }
    mean = format_duration(row.mean_seconds, row.mean_at_least_seconds, row.mean_at_most_seconds)
    runs = {"runs": row.runs, "unknown": row.unknown}
    return {**row.group, "phase": row.phase, **runs, "mean": mean, **ranges}


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
    columns = _parse_columns(by) or ()
    rows = views.usage(by=columns, since=as_utc(since), until=as_utc(until), tz=tz).records()
    if not json:
        hidden = set(_LIFETIMES)
        if all(row[_CACHE_WRITE] is None for row in rows):
            hidden.add(_CACHE_WRITE)
        rows = [{name: it for name, it in row.items() if name not in hidden} for row in rows]
    _print(_add_columns("tokens", columns), rows, json=json)


def print_session_usage(views: Views, session: str, source: str | None, *, json: bool) -> None:
    """Prints the tokens of a session by parts."""
    _print("tokens of the session", views.session_usage(session, source).records(), json=json)


def print_open_usage(
    views: Views, *, since: datetime | None = None, until: datetime | None = None
) -> None:
    """Prints on stderr how many tokens are of runs that have not ended, if any."""
    from tracker.cli.terminal import stderr_console

    found = views.open_usage(as_utc(since), as_utc(until))
    if found.runs:
        runs = "1 run that has" if found.runs == 1 else f"{found.runs:,} runs that have"
        stderr_console().print(
            f"not included: {found.total_tokens:,} tokens of {runs} not ended; "
            "`runfold actions --waiting` lists the calls that nobody has answered"
        )


def print_cost(
    views: Views,
    *,
    by: str,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    json: bool = False,
) -> None:
    """Prints the cost of runs; a table has the versions of the prices in its title."""
    columns = _parse_columns(by) or ()
    rows = views.cost(by=columns, since=as_utc(since), until=as_utc(until), tz=tz).records()
    title = _add_columns("dollars", columns)
    if not json:
        versions = sorted({version for row in rows for version in row.pop("price_versions")})
        title = f"{title}, price version {', '.join(versions)}" if versions else title
    _print(title, rows, json=json)


def print_models_without_price(views: Views, *, json: bool) -> None:
    """Prints the models, with the service tiers, that have no price."""
    _print("runs of models without a price", views.unpriced().records(), json=json)


def print_actions(
    views: Views, run: str | None, source: str | None, *, waiting: bool, json: bool
) -> None:
    """Prints the tool calls that runs waited for, or wait for now."""
    rows = views.actions(run, source, waiting=waiting).records()
    if not json:
        columns = ("run_key", "name", "arguments", "required_at")
        rows = [
            {**{name: row[name] for name in columns}, "waited": _describe_wait(row)} for row in rows
        ]
    _print("waiting for" if waiting else "actions", rows, json=json)


def _describe_wait(row: Mapping[str, Any]) -> str | None:
    if row["resolved_at"] is None:
        return None
    return format_duration(row["waited_seconds"], row["at_least_seconds"], row["at_most_seconds"])


def print_stuck(views: Views, *, limit: int | None, json: bool) -> None:
    """Prints the runs that should have ended by now."""
    rows = views.stuck(limit=limit).records()
    if not json:
        columns = ("run_key", "status", "reason", "age_seconds", "usual_seconds", "silent_seconds")
        rows = [{name: row[name] for name in columns} for row in rows]
    _print("stuck runs", rows, json=json)


def print_json(document: object) -> None:
    """Prints a document as JSON on stdout, with times in ISO 8601."""
    text = json_module.dumps(document, default=_encode_value, ensure_ascii=False)
    sys.stdout.write(f"{text}\n")


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with equal columns as a table; numbers are aligned to the right."""
    if not rows:
        stdout_console().print(f"{title}: none")
        return
    table = make_table(title)
    for name in rows[0]:
        heading = _make_heading(name)
        if _is_number(name, rows):
            # Only headings of two words may wrap, but not before their unit.
            no_wrap = " " not in heading or heading.endswith((" s", " $"))
            table.add_column(heading, justify="right", no_wrap=no_wrap)
        else:
            longest = max(len(_format_cell(row[name])) for row in rows)
            # The bounds of a duration may stand below it.
            has_bounds = any(" (" in str(row[name]) for row in rows)
            no_wrap = longest <= _UNWRAPPED and not has_bounds
            table.add_column(heading, overflow="fold", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*(_format_cell(value) for value in row.values()))
    print_table(table)
    stdout_console().print()


def as_utc(moment: datetime | None) -> datetime | None:
    """Interprets a time without a zone as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _print(title: str, rows: Sequence[Mapping[str, Any]], *, json: bool) -> None:
    if json:
        print_json(rows)
    else:
        print_rows(title, rows)


def _parse_columns(by: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in by.split(",") if name.strip()) if by else None


def _add_columns(title: str, columns: Sequence[str]) -> str:
    return f"{title} by {', '.join(columns)}" if columns else title


def _is_number(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    return name.endswith(("_seconds", "_tokens", "_dollars")) or isinstance(
        rows[0][name], int | float
    )


def _make_heading(name: str) -> str:
    if name in _HEADINGS or name.startswith("metadata."):
        return _HEADINGS.get(name, name)
    if name.endswith("_seconds"):
        name = f"{name.removesuffix('_seconds')} s"
    return name.replace("_", " ")


def _format_cell(value: object) -> Text:
    if value is None:
        return Text(UNKNOWN)
    if isinstance(value, float):
        return Text(f"{value:,.2f}")
    if isinstance(value, Decimal):
        return Text(f"{value:,.6f}")
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d %H:%M %Z}")
    return Text(f"{value:,}" if isinstance(value, int) else escape_controls(str(value)))


def _encode_value(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        # Most readers would parse a JSON number as a float.
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")
