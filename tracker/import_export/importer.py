"""Import of files of JSON: runs and steps as their service sent them, and exported events.

`documents` has the forms of a line. Without an `observed_at` (ISO 8601 or unix seconds) a run
counts as observed now, and of unknown age. Lines of `runfold export --events` are restored as they
are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from tracker.core.events import run_stream
from tracker.core.recent_dict import RecentDict
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState, is_on_another_thread
from tracker.core.status import is_ended
from tracker.errors import PayloadError, RunfoldError
from tracker.event_store.store import EventStore
from tracker.import_export.counting_store import CountingStore
from tracker.import_export.documents import Document, StepLine, read_documents
from tracker.import_export.event_json import EventLine
from tracker.import_export.line_reader import Line
from tracker.import_export.restore import EventRestorer
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock

# Looks at one run whose times are not known are put in order within so many lines.
LINES_PER_BATCH = 2_000
BYTES_PER_BATCH = 4 * 1024 * 1024
HEADS_IN_MEMORY = 10_000
_ENTRIES_AT_ONCE = 500
# Enough to see what is wrong with a file.
KEPT_BAD_LINES = 100
# Runs of which the last look is kept in memory.
_LAST_LOOKS = 100_000
# Steps whose run may come later in the files.
_EARLY_STEPS = 10_000

_Entry = TypeVar("_Entry")


@dataclass
class ImportReport:
    """The counts of an import, and the reasons of the first bad lines."""

    # Valid documents: runs, steps, and exported events.
    snapshots: int = 0
    steps: int = 0
    recorded: int = 0
    # New events and new runs, as the store has them.
    events: int = 0
    runs: int = 0
    # Documents that were not taken in; a line may have several.
    bad_lines: int = 0
    # File, line number and reason of the first bad documents.
    bad: list[str] = field(default_factory=list)
    # Snapshots by the name of their difference from the documentation of their API.
    peculiarities: Counter[str] = field(default_factory=Counter)

    def refuse(self, line: Line, reason: str) -> None:
        """Counts a document that was not taken in."""
        self.bad_lines += 1
        if len(self.bad) < KEPT_BAD_LINES:
            self.bad.append(f"{line.file}:{line.number}: {reason}")


class _LastLook(NamedTuple):
    """The last dated look at a run; `asked_at` is None if nobody knows when it was asked for."""

    asked_at: datetime | None
    observed_at: datetime


@dataclass
class _Batch:
    """Lines that are recorded together, and the result of each by its index."""

    lines: list[Line] = field(default_factory=list)
    snapshots: list[tuple[int, RunSnapshot]] = field(default_factory=list)
    steps: list[tuple[int, StepLine]] = field(default_factory=list)
    events: list[tuple[int, EventLine]] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)

    def add(self, index: int, document: Document | PayloadError) -> None:
        """Adds a document of a line."""
        if isinstance(document, RunSnapshot):
            self.snapshots.append((index, document))
        elif isinstance(document, StepLine):
            self.steps.append((index, document))
        elif isinstance(document, EventLine):
            self.events.append((index, document))
        else:
            self.bad.append((index, str(document)))


def import_lines(
    lines: Iterable[Line],
    store: EventStore,
    *,
    source: str | None,
    clock: Clock,
    progress: Callable[[], None] = lambda: None,
) -> ImportReport:
    """Records all documents that are a run, a step or an event, and reports the others.

    `source` is the source of runs that do not name theirs; if it is None, the name of their API.
    `progress` is called after each durable batch. Raises StoreUnavailable if the database fails,
    StoreError if the lines are the export of another store; earlier batches are kept.
    """
    importer = _Importer(CountingStore(store))
    for batch in _batches(lines):
        now = clock.now()
        for index, line in enumerate(batch.lines):
            if line.problem is not None:
                batch.bad.append((index, line.problem))
            elif line.content.strip():
                for document in read_documents(line.content, source, now):
                    batch.add(index, document)
        importer.record(batch)
        progress()
    return importer.finish()


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


class _Importer:
    """Records batches of documents, and counts their results."""

    def __init__(self, store: CountingStore) -> None:
        self._store = store
        self._repository = RunRepository(store, open_runs=HEADS_IN_MEMORY)
        self._restorer = EventRestorer(store)
        self._report = ImportReport()
        # The last dated look at each run, also if it changed nothing.
        self._looks: RecentDict[str, _LastLook] = RecentDict(_LAST_LOOKS)
        # Steps of runs that are not known so far.
        self._early: list[tuple[Line, StepLine]] = []

    def record(self, batch: _Batch) -> None:
        """Records a batch."""
        self._restore_events(batch)
        for looks in _split(_put_in_order(batch.snapshots)):
            self._record_snapshots(batch, self._bound_looks(looks))
        for steps in _split(batch.steps):
            self._record_steps(batch, steps)
        for index, reason in sorted(batch.bad):
            self._report.refuse(batch.lines[index], reason)

    def finish(self) -> ImportReport:
        """Reports the steps whose run did not come, and returns the counts."""
        for line, step in self._early:
            if self._find_state(step).status is None:
                self._report.refuse(line, _unknown_run(step))
        self._report.events, self._report.runs = self._store.events, self._store.runs
        return self._report

    def _find_state(self, step: StepLine) -> RunState:
        return self._repository.state(_observe_step(step).stream)

    def _restore_events(self, batch: _Batch) -> None:
        for restored in self._restorer.add([event for _, event in batch.events]):
            self._report.recorded += restored.fitting
            batch.bad += [(batch.events[index][0], reason) for index, reason in restored.refused]

    def _bound_looks(
        self, read: Sequence[tuple[int, RunSnapshot]]
    ) -> list[tuple[int, RunSnapshot]]:
        """Returns snapshots with the look before each, if it is known."""
        bounded = []
        for index, snapshot in read:
            observed_at, asked_at = snapshot.observed_at, snapshot.asked_at
            if asked_at is not None:
                stream = run_stream(snapshot.source, snapshot.run_id)
                before = self._looks.get(stream)
                told: dict[str, Any] = {}
                if before is not None and before.observed_at <= observed_at:
                    told["unchanged_until"] = before.asked_at
                    if snapshot.asked_since is not None:
                        # It was asked for no earlier than the answer before it came.
                        asked_at = told["asked_since"] = before.observed_at
                elif snapshot.asked_since is not None:
                    asked_at = None
                if told:
                    snapshot = snapshot.model_copy(update=told)
                if before is None or before.observed_at <= observed_at:
                    self._looks.put(stream, _LastLook(asked_at, observed_at))
            bounded.append((index, snapshot))
        return bounded

    def _record_snapshots(self, batch: _Batch, read: Sequence[tuple[int, RunSnapshot]]) -> None:
        observations = [Observation.of(snapshot) for _, snapshot in read]
        predecessors = [
            entry
            for _, snapshot in read
            if (entry := Observation.of_predecessor(snapshot)) is not None
        ]
        results = self._repository.record([*observations, *predecessors])
        for (index, snapshot), result in zip(read, results[: len(observations)], strict=True):
            if isinstance(result, RunfoldError):
                batch.bad.append((index, str(result)))
                continue
            self._report.snapshots += 1
            self._report.peculiarities.update(snapshot.peculiarities)
            if is_on_another_thread(result.state, snapshot.thread_id):
                reason = _other_thread(snapshot.run_id, snapshot.thread_id, result.state)
                batch.bad.append((index, reason))

    def _record_steps(self, batch: _Batch, read: Sequence[tuple[int, StepLine]]) -> None:
        results = self._repository.record([_observe_step(step) for _, step in read])
        for (index, step), result in zip(read, results, strict=True):
            if isinstance(result, RunfoldError):
                batch.bad.append((index, str(result)))
                continue
            self._report.steps += 1
            if result.state.status is None and len(self._early) < _EARLY_STEPS:
                self._early.append((batch.lines[index], step))
            elif result.state.status is None:
                batch.bad.append((index, _unknown_run(step)))
            elif is_on_another_thread(result.state, step.thread_id):
                reason = _other_thread(step.run_id, step.thread_id, result.state)
                batch.bad.append((index, reason))


def _observe_step(line: StepLine) -> Observation:
    return Observation.of_step(
        line.source, line.run_id, line.thread_id, line.step, line.observed_at
    )


def _unknown_run(line: StepLine) -> str:
    return f"a step, not a run; its run {line.run_id} is not recorded: import it too"


def _other_thread(run_id: str, thread_id: str | None, state: RunState) -> str:
    return (
        f"{run_id} on {thread_id}: a run with this id is recorded on another thread, "
        f"{state.thread_id}, and is left as it is; import this one under another --source"
    )


def _split(entries: Sequence[_Entry]) -> Iterator[Sequence[_Entry]]:
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        yield entries[start : start + _ENTRIES_AT_ONCE]


def _put_in_order(read: list[tuple[int, RunSnapshot]]) -> list[tuple[int, RunSnapshot]]:
    """Returns the same snapshots, those of open runs without a time before the ends of the runs.

    After its end an open run would be passed over, and its actions with it.
    """
    ends: dict[tuple[str, str], int] = {}
    late: dict[tuple[str, str], list[tuple[int, RunSnapshot]]] = {}
    kept: list[tuple[int, RunSnapshot]] = []
    for entry in read:
        _, snapshot = entry
        run = (snapshot.source, snapshot.run_id)
        if is_ended(snapshot.status):
            ends.setdefault(run, len(kept))
        elif snapshot.asked_at is None and run in ends:
            late.setdefault(run, []).append(entry)
            continue
        kept.append(entry)
    before = {ends[run]: sorted(entries, key=_start) for run, entries in late.items()}
    return [it for place, entry in enumerate(kept) for it in (*before.get(place, ()), entry)]


def _start(entry: tuple[int, RunSnapshot]) -> datetime:
    return entry[1].started_at or datetime.min.replace(tzinfo=UTC)
