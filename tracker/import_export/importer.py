"""Histories from files: a line a snapshot, as the service sent it, or a line an exported event.

A line is the run object itself, or `{"observed_at": …, "source": …, "body": {…}}`. Without an
`observed_at` (ISO 8601 or unix seconds) it counts as seen now, and of unknown age. Of which API a
run is, its shape tells. Lines of `runfold export --events` go into the store as they are.
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
from tracker.import_export.event_json import EventLine, is_event_line, read_event_line
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
# Of a file of nonsense, the first lines tell what it is.
KEPT_BAD_LINES = 100

_moment = TypeAdapter(AwareDatetime)


@dataclass
class ImportReport:
    """What came of an import, in counts; of the first bad lines also the place and the reason.

    `snapshots` and `recorded` are the lines that are good, of each kind; `runs` are those that
    are new, as `events` are. `peculiarities` says how many snapshots differ from what their API
    is documented to send, by the name of the difference.
    """

    snapshots: int = 0
    recorded: int = 0
    events: int = 0
    runs: int = 0
    bad_lines: int = 0
    bad: list[str] = field(default_factory=list)
    peculiarities: Counter[str] = field(default_factory=Counter)

    def count(self, events: Iterable[Event]) -> None:
        """Counts events that are new."""
        for event in events:
            self.events += 1
            self.runs += isinstance(event, RunCreated)


@dataclass
class _Batch:
    """Lines that are taken in together: what was made of each, by its index."""

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
    """Records every line that is a run or an event; another is reported and leaves the rest.

    `source` names those that do not say; where it is None, those are named as their API is.
    `progress` is called once a batch is durable. Raises StoreUnavailable where the database
    fails, StoreError where the lines are the export of another store; the batches before are
    kept.
    """
    report = ImportReport()
    histories, restore = RunRepository(store, capacity=HEADS_IN_MEMORY), EventRestorer(store)
    for batch in _batches(lines):
        for index, line in enumerate(batch.lines):
            if line.problem is not None:
                batch.bad.append((index, line.problem))
            elif line.content.strip():
                _read(index, line.content, source, clock.now(), batch)
        _restore(batch, restore, report)
        _record(batch, histories, report)
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


def _read(index: int, line: bytes, source: str | None, now: datetime, batch: _Batch) -> None:
    try:
        document = decode(line)
        if is_event_line(document):
            batch.events.append((index, read_event_line(document)))
        else:
            batch.snapshots.append((index, _snapshot(document, source, now)))
    except PayloadError as error:
        batch.bad.append((index, str(error)))


def _restore(batch: _Batch, restore: EventRestorer, report: ImportReport) -> None:
    for restored in restore.add([event for _, event in batch.events]):
        report.count(restored.added)
        report.recorded += restored.fitting
        batch.bad += [(batch.events[index][0], reason) for index, reason in restored.refused]


def _record(batch: _Batch, histories: RunRepository, report: ImportReport) -> None:
    read = _bounded(batch.snapshots)
    looks = [Observation.of(snapshot) for _, snapshot in read]
    ends = [
        entry for _, snapshot in read if (entry := Observation.of_predecessor(snapshot)) is not None
    ]
    results = histories.record([*looks, *ends])
    for result in results[len(looks) :]:
        report.count(() if isinstance(result, RunfoldError) else result.events)
    for (index, snapshot), result in zip(read, results[: len(looks)], strict=True):
        if isinstance(result, RunfoldError):
            batch.bad.append((index, str(result)))
        else:
            report.snapshots += 1
            report.peculiarities.update(snapshot.peculiarities)
            report.count(result.events)


def _bounded(read: list[tuple[int, RunSnapshot]]) -> list[tuple[int, RunSnapshot]]:
    """The same, where a document of unknown age is bounded by what others say of its run.

    An open run was seen before its next start, and before its end.
    """
    stamps: dict[tuple[str, str], set[datetime]] = {}
    for _, snapshot in read:
        of_run = stamps.setdefault((snapshot.source, snapshot.run_id), set())
        of_run.update(filter(None, (snapshot.started_at, snapshot.ended_at)))
    bounded = []
    for number, snapshot in read:
        if snapshot.asked_at is None and not is_ended(snapshot.status):
            began = snapshot.started_at or snapshot.created_at
            later = [
                stamp
                for stamp in stamps[snapshot.source, snapshot.run_id]
                if began is None or stamp > began
            ]
            snapshot = snapshot.model_copy(update={"not_after": min(later, default=None)})
        bounded.append((number, snapshot))
    return bounded


def _snapshot(document: Mapping[str, Any], source: str | None, now: datetime) -> RunSnapshot:
    if "body" not in document:
        return _mapped(document, source, now, None)
    seen = _observed_at(document.get("observed_at"))
    name = document.get("source") or source
    if name is not None and not isinstance(name, str):
        raise PayloadError("source: not a text")
    body = document["body"]
    if not isinstance(body, dict):
        raise PayloadError("body: not a JSON object")
    return _mapped(body, name, seen or now, seen)


def _mapped(
    body: Mapping[str, Any], name: str | None, observed_at: datetime, asked_at: datetime | None
) -> RunSnapshot:
    payload_format = detect_format(body)
    source = payload_format.name if name is None else name
    return payload_format.snapshot(body, source, observed_at=observed_at, asked_at=asked_at)


def _observed_at(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return _moment.validate_python(value).astimezone(UTC)
    except (ValidationError, OverflowError):
        raise PayloadError(
            f"observed_at: {value!r} is no moment; use unix seconds or ISO 8601 with its offset"
        ) from None
