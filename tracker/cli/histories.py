"""The history of one run on the terminal: its events, and a picture of its phases."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from projections.queries import PhaseRow
from tracker.cli.tables import UNKNOWN, console, opened, print_json
from tracker.codec import encode
from tracker.core.events import Change, Event
from tracker.event_store import RecordedEvent, open_event_store

COLOURS = {"queued": "yellow", "in_progress": "green", "requires_action": "magenta"}
BAR_WIDTH = 60
_TIMES = frozenset({"observed_at", "occurred_at", "not_before", "not_after"})


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
    out.print(Text(f"{run.run_key}  thread {run.thread_id or UNKNOWN}", style="bold"))
    out.print(_events(recorded))
    _picture(out, phases)


def _document(entry: RecordedEvent) -> dict[str, Any]:
    topic, _ = encode(entry.event)
    fields = entry.event.model_dump(mode="json", exclude_defaults=True)
    return {"position": entry.position, "version": entry.version, "topic": topic, **fields}


def _events(recorded: list[RecordedEvent]) -> Table:
    table = Table(title="events", title_justify="left", title_style="bold")
    for name in ("#", "event", "the server says", "we saw", "what"):
        table.add_column(name, overflow="fold")
    for entry in recorded:
        event = entry.event
        happened = event.occurred_at if isinstance(event, Change) else None
        table.add_row(
            str(entry.version),
            type(event).__name__,
            f"{happened:%Y-%m-%d %H:%M:%S}" if happened else UNKNOWN,
            f"{event.observed_at:%H:%M:%S.%f}"[:-3],
            Text(_what(event)),
        )
    return table


def _what(event: Event) -> str:
    fields = event.model_dump(mode="json", exclude_defaults=True, exclude=set(_TIMES))
    return ", ".join(f"{name}={value}" for name, value in fields.items())


def _picture(out: Console, phases: list[PhaseRow]) -> None:
    """A bar a phase, to scale; nothing where no time has passed yet."""
    total = sum(phase.seconds or 0.0 for phase in phases)
    for phase in phases:
        width = round(BAR_WIDTH * (phase.seconds or 0.0) / total) if total else 0
        known = UNKNOWN if phase.seconds is None else f"{phase.seconds:.2f} s"
        within = f" ± {phase.uncertainty_seconds:.2f}" if phase.uncertainty_seconds else ""
        line = Text(f"{phase.status:>16} ")
        line.append("█" * max(width, 1), style=COLOURS.get(phase.status, "cyan"))
        line.append(f" {known}{within} ({phase.basis})")
        out.print(line)
