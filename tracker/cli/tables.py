"""Answers of the views, printed as tables for people or as JSON for programs."""

from __future__ import annotations

import csv
import json as json_module
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tracker.cli.durations import format_duration
from tracker.cli.layout.columns import Column, lay_out
from tracker.cli.terminal import UNKNOWN, escape_controls, stdout_console
from tracker.errors import SettingsError

if TYPE_CHECKING:
    from projections import Views
    from projections.row_types import TimingRow

PERCENTILES = (50, 95, 99)
_SHOWN_PERCENTILES = (50, 95)
# The rule of a table that is not on a terminal.
_RULE_WIDTH = 80
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


class Form(Enum):
    """The form of an answer."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def choose_form(*, json: bool, csv: bool) -> Form:
    """Returns the form that the options ask for. Raises SettingsError for both."""
    if json and csv:
        raise SettingsError("pass --json or --csv, not both")
    return Form.JSON if json else Form.CSV if csv else Form.TABLE


def print_status(
    views: Views,
    *,
    by: str | None = None,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    form: Form = Form.TABLE,
) -> None:
    """Prints the number of runs in each status."""
    counts = views.status_counts(
        by=_parse_columns(by), since=as_utc(since), until=as_utc(until), tz=tz
    )
    _print("runs by status", counts.records(), form=form)


def print_timing(
    views: Views,
    *,
    by: str | None = None,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    form: Form = Form.TABLE,
) -> None:
    """Prints the durations of phases."""
    timing = views.timing(
        by=_parse_columns(by),
        percentiles=PERCENTILES,
        since=as_utc(since),
        until=as_utc(until),
        tz=tz,
    )
    if form is not Form.TABLE:
        _print("", timing.records(), form=form)
        return
    print_rows("time by phase", [_describe_timing(row) for row in timing], ("unknown", "mean"))
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
    form: Form = Form.TABLE,
) -> None:
    """Prints the tokens that runs used."""
    columns = _parse_columns(by) or ()
    rows = views.usage(by=columns, since=as_utc(since), until=as_utc(until), tz=tz).records()
    if form is Form.TABLE:
        hidden = set(_LIFETIMES)
        if all(row[_CACHE_WRITE] is None for row in rows):
            hidden.add(_CACHE_WRITE)
        rows = [{name: it for name, it in row.items() if name not in hidden} for row in rows]
    _print(_add_columns("tokens", columns), rows, form=form)


def print_session_usage(
    views: Views, session: str, source: str | None, *, form: Form = Form.TABLE
) -> None:
    """Prints the tokens of a session by parts."""
    _print("tokens of the session", views.session_usage(session, source).records(), form=form)


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
    form: Form = Form.TABLE,
) -> None:
    """Prints the cost of runs; a table has the versions of the prices in its title."""
    columns = _parse_columns(by) or ()
    rows = views.cost(by=columns, since=as_utc(since), until=as_utc(until), tz=tz).records()
    title = _add_columns("dollars", columns)
    if form is Form.TABLE:
        versions = sorted({version for row in rows for version in row.pop("price_versions")})
        title = f"{title}, price version {', '.join(versions)}" if versions else title
    _print(title, rows, form=form)


def print_models_without_price(views: Views, *, form: Form = Form.TABLE) -> None:
    """Prints the models, with the service tiers, that have no price."""
    _print("runs of models without a price", views.unpriced().records(), form=form)


def print_actions(
    views: Views,
    run: str | None,
    source: str | None,
    *,
    waiting: bool,
    tz: str = "UTC",
    form: Form = Form.TABLE,
) -> None:
    """Prints the tool calls that runs waited for, or wait for now."""
    from projections.queries.grouping import in_zone, time_zone

    zone = time_zone(tz)
    rows = views.actions(run, source, waiting=waiting).records()
    if form is Form.TABLE:
        rows = [
            {
                "run_key": row["run_key"],
                "name": row["name"],
                "required_at": in_zone(row["required_at"], zone),
                # Those that wait have waited for nothing yet.
                **({} if waiting else {"waited": _describe_wait(row)}),
                "arguments": row["arguments"],
            }
            for row in rows
        ]
    _print("waiting for" if waiting else "actions", rows, form=form)


def _describe_wait(row: Mapping[str, Any]) -> str | None:
    if row["resolved_at"] is None:
        return None
    return format_duration(row["waited_seconds"], row["at_least_seconds"], row["at_most_seconds"])


def print_stuck(views: Views, *, limit: int | None, form: Form = Form.TABLE) -> None:
    """Prints the runs that should have ended by now."""
    rows = views.stuck(limit=limit).records()
    if form is Form.TABLE:
        columns = ("run_key", "status", "reason", "age_seconds", "usual_seconds", "silent_seconds")
        rows = [{name: row[name] for name in columns} for row in rows]
    _print("stuck runs", rows, form=form)


def print_json(document: object) -> None:
    """Prints a document as JSON on stdout, with times in ISO 8601."""
    text = json_module.dumps(document, default=_encode_value, ensure_ascii=False)
    sys.stdout.write(f"{text}\n")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with equal columns as CSV on stdout; nothing if there are none.

    Times are in ISO 8601, unknown values are empty, and objects are JSON.
    """
    if not rows:
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_encode_csv(value) for value in row.values()])


def print_rows(
    title: str | None, rows: Sequence[Mapping[str, Any]], least: Sequence[str] = ()
) -> None:
    """Prints rows with equal columns as a table; numbers are aligned to the right.

    On a terminal, columns that have no room are left out and named, those in `least` first,
    in its order.
    """
    out = stdout_console()
    if not rows:
        out.print(f"{title}: none")
        return
    columns = [
        Column(
            name,
            _make_heading(name, zone := _find_zone(row[name] for row in rows)),
            [_format_cell(row[name], zone) for row in rows],
            is_number=_is_number(name, rows),
        )
        for name in rows[0]
    ]
    width = out.width if out.is_terminal else None
    table = lay_out(columns, width, least)
    if title:
        out.print(Text(title, style="bold"))
    for line in table.lines:
        # The rule need not be as long as the longest row of a pipe.
        is_rule = not line.strip("─") and width is None
        out.print(Text(line[:_RULE_WIDTH] if is_rule else line))
    if table.left_out:
        names = ", ".join(it.heading for it in table.left_out)
        out.print(f"no room for: {names}; a wider terminal or --json shows all")
    out.print()


def as_utc(moment: datetime | None) -> datetime | None:
    """Interprets a time without a zone as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _print(title: str, rows: Sequence[Mapping[str, Any]], *, form: Form = Form.TABLE) -> None:
    if form is Form.JSON:
        print_json(rows)
    elif form is Form.CSV:
        print_csv(rows)
    else:
        print_rows(title, rows)


def _parse_columns(by: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in by.split(",") if name.strip()) if by else None


def _add_columns(title: str, columns: Sequence[str]) -> str:
    return f"{title} by {', '.join(columns)}" if columns else title


def _is_number(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    return name.endswith(("_seconds", "_tokens", "_dollars")) or any(
        isinstance(row[name], int | float) for row in rows
    )


def _find_zone(values: Iterable[object]) -> str | None:
    """Returns the name of the zone of all times of a column; None if it differs."""
    names = {f"{it:%Z}" for it in values if isinstance(it, datetime)}
    return names.pop() if len(names) == 1 else None


def _make_heading(name: str, zone: str | None) -> str:
    if zone is not None:
        return f"{_make_heading(name, None)} ({zone})"
    if name in _HEADINGS or name.startswith("metadata."):
        return _HEADINGS.get(name, name)
    if name.endswith("_seconds"):
        name = f"{name.removesuffix('_seconds')} s"
    return name.replace("_", " ")


def _format_cell(value: object, zone: str | None) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, Decimal):
        return f"{value:,.6f}"
    if isinstance(value, datetime):
        year = "" if value.year == datetime.now(value.tzinfo).year else f" {value.year}"
        return f"{value.day} {value:%b}{year} {value:%H:%M}" + ("" if zone else f" {value:%Z}")
    return f"{value:,}" if isinstance(value, int) else escape_controls(str(value))


def _encode_csv(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime | date | Decimal):
        return _encode_value(value)
    return json_module.dumps(value, default=_encode_value, ensure_ascii=False)


def _encode_value(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        # Most readers would parse a JSON number as a float.
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")
