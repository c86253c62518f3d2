"""Exports and imports of histories in memory."""

from collections.abc import Sequence

from tests.support.run_builder import created, ended, started, waiting
from tracker import EventStore, open_event_store
from tracker.core import events as e
from tracker.event_store import Append
from tracker.import_export.exporter import export_events
from tracker.import_export.importer import ImportReport, import_lines
from tracker.import_export.line_reader import Line
from tracker.runtime.clock import SystemClock


def export_lines(store: EventStore) -> bytes:
    """Returns the export of a store."""
    parts: list[bytes] = []
    count = export_events(store, parts.append)
    whole = b"".join(parts)
    assert whole.count(b"\n") == count
    return whole


def import_exported(store: EventStore, lines: bytes | Sequence[bytes]) -> ImportReport:
    """Imports an export, whole or as lines."""
    each = lines.splitlines(keepends=True) if isinstance(lines, bytes) else lines
    numbered = (Line("events.jsonl", number, line) for number, line in enumerate(each, 1))
    return import_lines(numbered, store, source=None, clock=SystemClock())


def story(run_id: str = "run_1") -> list[e.Event]:
    """Returns the events of a run that waited for tool outputs and completed."""
    return [
        created(run_id=run_id),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        ended(e.RunCompleted, 20, stamp=19, since=12, previous="requires_action"),
    ]


def store_of_stories(*run_ids: str, events: int = 4) -> EventStore:
    """Returns a store in memory with the first events of these runs, in turn."""
    store = open_event_store("memory://")
    for version in range(events):
        for run_id in run_ids:
            store.append([Append(f"assistants:{run_id}", version, [story(run_id)[version]])])
    return store
