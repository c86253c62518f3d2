"""`runfold history` and `replay`: the events of one run, and a chart of its phases."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.options import DEFAULT_DB, Db, Json, PriceSettings

if TYPE_CHECKING:
    from rich.table import Table

    from projections import RunHistory
    from projections.row_types import PhaseRow
    from tracker.core.events import Event
    from tracker.event_store import RecordedEvent

_COLOURS = {"queued": "yellow", "in_progress": "green", "requires_action": "magenta"}
_COLOURS |= {"unknown": "bright_black"}
_BAR_WIDTH = 30
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
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show the events of a run and a chart of its phases."""
    print_history(db, run, source=source, json=json, prices=prices)


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

    from tracker.cli.terminal import UNKNOWN, escape_controls, stdout_console
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
    _print_chart(list(history.phases))


def _make_line(past: RunHistory) -> object:
    from rich.text import Text

    from tracker.cli.durations import format_duration
    from tracker.cli.terminal import escape_controls

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
    db: str, run_id: str, *, source: str | None, json: bool, prices: str | None = None
) -> None:
    """Prints the history of a run. Raises UnknownRun if it is not recorded."""
    from rich.text import Text

    from tracker.cli.tables import print_json
    from tracker.cli.terminal import UNKNOWN, escape_controls, print_table, stdout_console
    from tracker.cli.views import open_current_views
    from tracker.event_store import open_event_store

    with open_current_views(db, prices, quiet=json) as views:
        run = views.run(run_id, source)
        phases = views.phases(run_id, run.source)
    store = open_event_store(db, create=False)
    try:
        recorded = store.read(run.run_key)
    finally:
        store.close()
    if json:
        print_json([_encode_event(entry) for entry in recorded])
        return
    out = stdout_console()
    title = f"{run.run_key}, thread {run.thread_id or UNKNOWN}, {run.created_at:%Y-%m-%d} UTC"
    out.print(Text(escape_controls(title), style="bold"))
    out.print()
    print_table(_make_event_table(recorded, run.created_at))
    out.print()
    _print_chart(phases)


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


def _make_event_table(recorded: list[RecordedEvent], created_at: datetime) -> Table:
    from rich.text import Text

    from tracker.cli.terminal import UNKNOWN, escape_controls, make_table
    from tracker.core.events import Change

    table = make_table()
    table.add_column("#", justify="right", no_wrap=True)
    for name in ("occurred", "observed", "event"):
        table.add_column(name, no_wrap=True)
    table.add_column("details", overflow="fold")
    for entry in recorded:
        event = entry.event
        occurred_at = event.occurred_at if isinstance(event, Change) else None
        observed = _format_time(event.observed_at, created_at)
        table.add_row(
            str(entry.version),
            _format_time(occurred_at, created_at) if occurred_at else UNKNOWN,
            f"{observed}.{event.observed_at.microsecond // 1000:03}",
            type(event).__name__,
            Text(escape_controls(_format_details(event))),
        )
    return table


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


def _print_chart(phases: list[PhaseRow]) -> None:
    """Prints one bar for each phase, to scale: solid as long as it surely took, then shaded."""
    from rich.text import Text

    from tracker.cli.durations import format_duration
    from tracker.cli.terminal import escape_controls, stdout_console

    out = stdout_console()
    longest = [phase.at_most_seconds or phase.at_least_seconds or 0.0 for phase in phases]
    scale = _BAR_WIDTH / sum(longest) if sum(longest) else 0
    for phase, most in zip(phases, longest, strict=True):
        least = phase.at_least_seconds
        solid, whole = round((least or 0.0) * scale), round(most * scale)
        line = Text(f"{escape_controls(phase.status):>16} ")
        line.append("█" * solid + "░" * (whole - solid) or "░", style=_colour_of(phase.status))
        is_disputed = phase.basis == "disputed"
        duration = (
            "still lasts"
            if phase.left_at is None
            else format_duration(
                phase.seconds, least, phase.at_most_seconds, is_disputed=is_disputed
            )
        )
        line.append(f" {duration}, {phase.basis}")
        out.print(line)


def _colour_of(status: str) -> str:
    return _COLOURS.get(status, "cyan")
