"""The history of one run on the terminal: its events, and a picture of its phases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from projections.row_types import PhaseRow
from tracker.cli.tables import opened, print_json
from tracker.cli.terminal import UNKNOWN, console, show, table, visible
from tracker.core.events import Change, Event
from tracker.event_store import RecordedEvent, open_event_store
from tracker.event_store.codec import encode

COLOURS = {"queued": "yellow", "in_progress": "green", "requires_action": "magenta"}
BAR_WIDTH = 30
# What other columns or the heading say already.
_TIMES = ("observed_at", "occurred_at", "not_before", "not_after")
_ELSEWHERE = frozenset((*_TIMES, "source", "run_id", "thread_id", "configuration_digest"))


def print_history(db: str, run_id: str, *, source: str | None, json: bool) -> None:
    """Prints what happened to a run. Raises UnknownRun where nothing was recorded of it."""
    with opened(db, quiet=json) as views:
        run = views.run(run_id, source)
        phases = views.phases(run_id, run.source)
    store = open_event_store(db, create=False)
    try:
        recorded = store.read(run.run_key)
    finally:
        store.close()
    if json:
        print_json([_document(entry) for entry in recorded])
        return
    out = console()
    heading = f"{run.run_key}, thread {run.thread_id or UNKNOWN}, {run.created_at:%Y-%m-%d} UTC"
    out.print(Text(visible(heading), style="bold"))
    out.print()
    show(_events(recorded, run.created_at))
    out.print()
    _picture(out, phases)


def _document(entry: RecordedEvent) -> dict[str, Any]:
    topic, _ = encode(entry.event)
    fields = entry.event.model_dump(mode="json", exclude_defaults=True)
    return {"position": entry.position, "version": entry.version, "topic": topic, **fields}


def _events(recorded: list[RecordedEvent], began: datetime) -> Table:
    shown = table()
    shown.add_column("#", justify="right", no_wrap=True)
    for name in ("server said", "we saw", "event"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("what", overflow="fold")
    for entry in recorded:
        event = entry.event
        happened = event.occurred_at if isinstance(event, Change) else None
        shown.add_row(
            str(entry.version),
            _time(happened, began) if happened else UNKNOWN,
            f"{_time(event.observed_at, began)}.{event.observed_at.microsecond // 1000:03}",
            type(event).__name__,
            Text(visible(_what(event))),
        )
    return shown


def _time(moment: datetime, began: datetime) -> str:
    """The time of day, with the date where it is another one than that of the beginning."""
    return f"{moment:%H:%M:%S}" if moment.date() == began.date() else f"{moment:%m-%d %H:%M:%S}"


def _what(event: Event) -> str:
    fields = event.model_dump(mode="json", exclude_defaults=True, exclude=set(_ELSEWHERE))
    ends = [fields.pop(name) for name in ("previous", "status") if _is_text(fields.get(name))]
    moved = [" → ".join(ends)] if ends else []
    if "status" not in type(event).model_fields:
        # The name of the event says where it went.
        moved = [f"from {end}" for end in moved]
    return ", ".join(moved + [f"{name} {_short(value)}" for name, value in fields.items()])


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _short(value: Any) -> str:
    """A value in few signs: calls as `name(arguments)`, pairs without the signs around them."""
    if isinstance(value, Mapping):
        if "name" in value and "arguments" in value:
            return f"{value['name']}({value['arguments']})"
        return " ".join(f"{name}={_short(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(_short(each) for each in value)
    return str(value)


def _picture(out: Console, phases: list[PhaseRow]) -> None:
    """A bar a phase, to scale; nothing where no time has passed yet."""
    total = sum(phase.seconds or 0.0 for phase in phases)
    for phase in phases:
        width = round(BAR_WIDTH * (phase.seconds or 0.0) / total) if total else 0
        known = UNKNOWN if phase.seconds is None else f"{phase.seconds:.2f} s"
        within = f" ± {phase.uncertainty_seconds:.2f}" if phase.uncertainty_seconds else ""
        line = Text(f"{visible(phase.status):>16} ")
        line.append("█" * max(width, 1), style=COLOURS.get(phase.status, "cyan"))
        line.append(f" {known}{within} ({phase.basis})")
        out.print(line)
