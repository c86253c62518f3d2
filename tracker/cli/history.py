"""`runfold history` and `replay`: one run as a picture, and its events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.options import DEFAULT_DB, Db, Json, PriceSettings, Tz
from tracker.cli.terminal import UNKNOWN, escape_controls, stdout_console

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from projections import RunHistory
    from projections.row_types import RunRow
    from tracker.core.events import Event
    from tracker.event_store import RecordedEvent

# The width of the picture without a terminal.
_PIPE_WIDTH = 80
# Left out first where there is no room.
_LEAST = ("occurred", "observed")
# Fields that other columns or the title show.
_TIMES = ("observed_at", "asked_at", "occurred_at", "not_before", "not_after")
_HIDDEN_FIELDS = frozenset(
    (*_TIMES, "source", "run_id", "thread_id", "configuration_digest", "state")
)


def history(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="NAME", help="Source of the run, if several have this id."
        ),
    ] = None,
    tz: Tz = "UTC",
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show a run as a picture of its phases, calls and steps, then its events."""
    print_history(db, run, source=source, json=json, prices=prices, tz=tz)


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="NAME", help="Source of the run, if several have this id."
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="X", min=0.001, help="Speed of time; 60 is a minute a second.")
    ] = 1.0,
    step: Annotated[bool, typer.Option("--step", help="Wait for Enter before each event.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Step through the events of a run, with its status and phases after each.

    The pauses between them are those of then, by our clock; `--speed` makes them shorter.
    """
    from rich.text import Text

    from tracker.cli.layout.timeline import draw_timeline, make_lanes
    from tracker.cli.views import open_current_views

    with open_current_views(db) as views:
        history = views.history(run, source)
    out = stdout_console()
    title = f"{history.run_key}, thread {history.run.thread_id or UNKNOWN}"
    out.print(Text(escape_controls(title), style="bold"))
    shown_at = history.events[0].event.observed_at
    for past in history.replay():
        moment = past.events[-1].event.observed_at
        if step and past.version > 1:
            typer.prompt("", default="", prompt_suffix="", show_default=False)
        elif not step and moment > shown_at:
            time.sleep((moment - shown_at).total_seconds() / speed)
        shown_at = max(shown_at, moment)
        out.print(_make_line(past))
    out.print()
    lanes = make_lanes(history.run, history.phases, history.actions, history.steps)
    for drawn in draw_timeline(lanes, out.width if out.is_terminal else _PIPE_WIDTH):
        out.print(drawn)


def _make_line(past: RunHistory) -> object:
    from rich.text import Text

    from tracker.cli.durations import format_duration

    event = past.events[-1].event
    seen = _format_time(event.observed_at, past.run.created_at)
    phase = past.phases[-1]
    left = [
        f"{it.status} {format_duration(it.seconds, it.at_least_seconds, it.at_most_seconds)}"
        for it in past.phases
        if it.left_at is not None
    ]
    line = Text(f"{past.version:>3}  {seen}.{event.observed_at.microsecond // 1000:03}  ")
    line.append(type(event).__name__, style="bold")
    details = _format_details(event)
    line.append(escape_controls(f"  {details}" if details else ""))
    told = "; ".join([*left, f"{phase.status} lasts" if phase.left_at is None else past.status])
    line.append(f"\n     {escape_controls(told)}", style="bright_black")
    return line


def print_history(
    db: str,
    run_id: str,
    *,
    source: str | None,
    json: bool,
    prices: str | None = None,
    tz: str = "UTC",
) -> None:
    """Prints the history of a run. Raises UnknownRun if it is not recorded."""
    from projections.queries.grouping import in_zone, time_zone
    from tracker.cli.layout.timeline import draw_timeline, make_lanes
    from tracker.cli.tables import print_json, print_rows
    from tracker.cli.views import open_current_views
    from tracker.event_store import open_event_store

    zone = time_zone(tz)
    with open_current_views(db, prices, quiet=json) as views:
        run = views.run(run_id, source)
        lanes = make_lanes(
            run,
            views.phases(run_id, run.source),
            views.actions(run_id, run.source),
            views.steps(run_id, run.source),
        )
    store = open_event_store(db, create=False)
    try:
        recorded = store.read(run.run_key)
    finally:
        store.close()
    if json:
        print_json([_encode_event(entry) for entry in recorded])
        return
    created_at = in_zone(run.created_at, zone)
    _print_title(run, created_at)
    out = stdout_console()
    for line in draw_timeline(lanes, out.width if out.is_terminal else _PIPE_WIDTH):
        out.print(line)
    out.print()
    print_rows(None, [_describe_event(it, created_at, zone) for it in recorded], _LEAST)


def _print_title(run: RunRow, created_at: datetime) -> None:
    from rich.text import Text

    out = stdout_console()
    title = f"{run.run_key}, thread {run.thread_id or UNKNOWN}"
    out.print(Text(escape_controls(title), style="bold"))
    parts = [run.status, *filter(None, (run.error_code, run.assistant_id, run.model))]
    out.print(Text(escape_controls(f"{', '.join(parts)}, {created_at:%Y-%m-%d %Z}")))
    out.print()


def _encode_event(entry: RecordedEvent) -> dict[str, Any]:
    from tracker.core.events import Unreadable
    from tracker.event_store.codec import encode

    if isinstance(entry.event, Unreadable):
        topic, reason = entry.event.stored_topic, entry.event.reason
        return {
            "position": entry.position,
            "version": entry.version,
            "topic": topic,
            "unreadable": reason,
        }
    topic, _ = encode(entry.event)
    fields = entry.event.model_dump(mode="json", exclude_defaults=True)
    return {"position": entry.position, "version": entry.version, "topic": topic, **fields}


def _describe_event(
    entry: RecordedEvent, created_at: datetime, zone: ZoneInfo
) -> dict[str, object]:
    from projections.queries.grouping import in_zone
    from tracker.core.events import Change

    event = entry.event
    occurred_at = event.occurred_at if isinstance(event, Change) else None
    observed_at = in_zone(event.observed_at, zone)
    observed = _format_time(observed_at, created_at)
    return {
        "#": entry.version,
        "occurred": _format_time(in_zone(occurred_at, zone), created_at) if occurred_at else None,
        "observed": f"{observed}.{observed_at.microsecond // 1000:03}",
        "event": type(event).__name__,
        "details": _format_details(event),
    }


def _format_time(moment: datetime, created_at: datetime) -> str:
    """Formats the time of day, with the date if it differs from that of the creation."""
    is_same_day = moment.date() == created_at.date()
    return f"{moment:%H:%M:%S}" if is_same_day else f"{moment:%m-%d %H:%M:%S}"


def _format_details(event: Event) -> str:
    fields = event.model_dump(mode="json", exclude_defaults=True, exclude=set(_HIDDEN_FIELDS))
    statuses = [
        fields.pop(name) for name in ("previous", "status") if isinstance(fields.get(name), str)
    ]
    parts = [" → ".join(statuses)] if statuses else []
    if "status" not in type(event).model_fields:
        # The name of the event implies the new status.
        parts = [f"from {status}" for status in parts]
    return ", ".join(parts + [f"{name} {_format_value(value)}" for name, value in fields.items()])


def _format_value(value: Any) -> str:
    """Formats a value briefly: calls as `name(arguments)`, pairs as `name=value`."""
    if isinstance(value, Mapping):
        if "name" in value and "arguments" in value:
            return f"{value['name']}({value['arguments']})"
        return " ".join(f"{name}={_format_value(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(_format_value(each) for each in value)
    return str(value)
