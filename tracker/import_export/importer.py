"""Import of lines of JSON: a run as its service sent it, or an exported event.

A run is the object itself, or `{"observed_at": …, "source": …, "body": {…}}`. Without an
`observed_at` (ISO 8601 or unix seconds) it counts as observed now, and of unknown age. Its API is
detected from the object. Lines of `runfold export --events` are restored as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from tracker.core.events import Event, RunCreated
from tracker.core.snapshot import RunSnapshot
from tracker.core.status import is_ended
from tracker.errors import PayloadError, RunfoldError
from tracker.event_store.store import EventStore
from tracker.import_export.event_json import EventLine, decode_event, is_event_line
from tracker.import_export.line_reader import Line
from tracker.import_export.restore import EventRestorer
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.sources.detection import detect_format
from tracker.sources.documents import decode

LINES_PER_BATCH = 500
HEADS_IN_MEMORY = 10_000
BYTES_PER_BATCH = 4 * 1024 * 1024
# Enough to see what is wrong with a file.
KEPT_BAD_LINES = 100

_moment = TypeAdapter(AwareDatetime)


@dataclass
class ImportReport:
    """The counts of an import, and the reasons of the first bad lines."""

    # Valid lines: runs, and exported events.
    snapshots: int = 0
    recorded: int = 0
    # New events and new runs.
    events: int = 0
    runs: int = 0
    bad_lines: int = 0
    # File, line number and reason of the first bad lines.
    bad: list[str] = field(default_factory=list)
    # Snapshots by the name of their difference from the documentation of their API.
    peculiarities: Counter[str] = field(default_factory=Counter)

    def count(self, events: Iterable[Event]) -> None:
        """Counts new events."""
        for event in events:
            self.events += 1
            self.runs += isinstance(event, RunCreated)


@dataclass
class _Batch:
    """Lines that are recorded together, and the result of each by its index."""

    lines: list[Line] = field(default_factory=list)
    snapshots: list[tuple[int, RunSnapshot]] = field(default_factory=list)
    events: list[tuple[int, EventLine]] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)


def import_lines(
    lines: Iterable[Line],
    store: EventStore,
    *,
    source: str | None,
    clock: Clock,
    progress: Callable[[], None] = lambda: None,
) -> ImportReport:
    """Records all lines that are a run or an event, and reports the others.

    `source` is the source of runs that do not name theirs; if it is None, the name of their API.
    `progress` is called after each durable batch. Raises StoreUnavailable if the database fails,
    StoreError if the lines are the export of another store; earlier batches are kept.
    """
    report = ImportReport()
    repository, restorer = (
        RunRepository(store, open_runs=HEADS_IN_MEMORY),
        EventRestorer(store),
    )
    for batch in _batches(lines):
        for index, line in enumerate(batch.lines):
            if line.problem is not None:
                batch.bad.append((index, line.problem))
            elif line.content.strip():
                _read_line(index, line.content, source, clock.now(), batch)
        _restore_events(batch, restorer, report)
        _record_snapshots(batch, repository, report)
        report.bad_lines += len(batch.bad)
        for index, reason in sorted(batch.bad)[: KEPT_BAD_LINES - len(report.bad)]:
            file, number, *_ = batch.lines[index]
            report.bad.append(f"{file}:{number}: {reason}")
        progress()
    return report


def _batches(lines: Iterable[Line]) -> Iterator[_Batch]:
    batch, size = _Batch(), 0
    for line in lines:
        batch.lines.append(line)
        size += len(line.content)
        if len(batch.lines) == LINES_PER_BATCH or size >= BYTES_PER_BATCH:
            yield batch
            batch, size = _Batch(), 0
    if batch.lines:
        yield batch


def _read_line(index: int, line: bytes, source: str | None, now: datetime, batch: _Batch) -> None:
    try:
        document = decode(line)
        if is_event_line(document):
            batch.events.append((index, decode_event(document)))
        else:
            batch.snapshots.append((index, _read_snapshot(document, source, now)))
    except PayloadError as error:
        batch.bad.append((index, str(error)))


def _restore_events(batch: _Batch, restorer: EventRestorer, report: ImportReport) -> None:
    for restored in restorer.add([event for _, event in batch.events]):
        report.count(restored.added)
        report.recorded += restored.fitting
        batch.bad += [(batch.events[index][0], reason) for index, reason in restored.refused]


def _record_snapshots(batch: _Batch, repository: RunRepository, report: ImportReport) -> None:
    read = _limit_ages(batch.snapshots)
    observations = [Observation.of(snapshot) for _, snapshot in read]
    predecessors = [
        entry for _, snapshot in read if (entry := Observation.of_predecessor(snapshot)) is not None
    ]
    results = repository.record([*observations, *predecessors])
    for result in results[len(observations) :]:
        report.count(() if isinstance(result, RunfoldError) else result.events)
    for (index, snapshot), result in zip(read, results[: len(observations)], strict=True):
        if isinstance(result, RunfoldError):
            batch.bad.append((index, str(result)))
        else:
            report.snapshots += 1
            report.peculiarities.update(snapshot.peculiarities)
            report.count(result.events)


def _limit_ages(read: list[tuple[int, RunSnapshot]]) -> list[tuple[int, RunSnapshot]]:
    """Returns the same snapshots; those of unknown age get an upper limit from others.

    A snapshot of an open run is older than the run's next start, and than its end.
    """
    stamps: dict[tuple[str, str], set[datetime]] = {}
    for _, snapshot in read:
        of_run = stamps.setdefault((snapshot.source, snapshot.run_id), set())
        of_run.update(filter(None, (snapshot.started_at, snapshot.ended_at)))
    limited = []
    for number, snapshot in read:
        if snapshot.asked_at is None and not is_ended(snapshot.status):
            started_at = snapshot.started_at or snapshot.created_at
            later = [
                stamp
                for stamp in stamps[snapshot.source, snapshot.run_id]
                if started_at is None or stamp > started_at
            ]
            snapshot = snapshot.model_copy(update={"not_after": min(later, default=None)})
        limited.append((number, snapshot))
    return limited


def _read_snapshot(document: Mapping[str, Any], source: str | None, now: datetime) -> RunSnapshot:
    if "body" not in document:
        return _map(document, source, now, None)
    observed_at = _read_time(document.get("observed_at"))
    name = document.get("source") or source
    if name is not None and not isinstance(name, str):
        raise PayloadError("source: not a text")
    body = document["body"]
    if not isinstance(body, dict):
        raise PayloadError("body: not a JSON object")
    return _map(body, name, observed_at or now, observed_at)


def _map(
    body: Mapping[str, Any], name: str | None, observed_at: datetime, asked_at: datetime | None
) -> RunSnapshot:
    payload_format = detect_format(body)
    source = payload_format.name if name is None else name
    return payload_format.snapshot(body, source, observed_at=observed_at, asked_at=asked_at)


def _read_time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return _moment.validate_python(value).astimezone(UTC)
    except (ValidationError, OverflowError):
        raise PayloadError(
            f"observed_at: {value!r} is not a time; use unix seconds or ISO 8601 with its offset"
        ) from None
