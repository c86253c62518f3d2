"""The backlog of the handlers of one name: runs with events that are not done. Pure.

A shard is a part of the runs. For each shard that is held, its checkpoint and the rows of its
undelivered runs say together what is done: all events up to the checkpoint, but for those of runs
with a row, which are done up to the version of the row. So a checkpoint moves past runs that are
under way or fail, and there are at most as many rows as such runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import NamedTuple

from tracker.delivery.handlers import Delivery


class UndeliveredRun(NamedTuple):
    """The row of a run: its events from `version` on are not done, though its shard is past."""

    stream: str
    shard: int
    # The first event that is not done: its version, and its position in the store.
    version: int
    position: int
    attempts: int = 0
    error: str | None = None
    # Unix seconds of the first failure.
    failing_since: float | None = None
    is_parked: bool = False


class Entry(NamedTuple):
    """An event of a page: its place, and the delivery of it; None if no handler receives it."""

    position: int
    stream: str
    shard: int
    delivery: Delivery | None


class Stage(Enum):
    """The stage of a run in the backlog."""

    READY = "waits for its turn"
    RUNNING = "its handler runs"
    SAVING = "its handler has succeeded, and that is not stored yet"
    FAILING = "waits for its next attempt"
    PARKED = "waits to be retried"


@dataclass(slots=True, eq=False)
class PendingRun:
    """A run with events that are not done."""

    stream: str
    shard: int
    version: int
    position: int
    stage: Stage = Stage.READY
    # The events that are known, oldest first. Unless `is_loaded`, others follow in the store.
    deliveries: deque[Delivery] = field(default_factory=deque)
    is_loaded: bool = True
    # The position of the last event that is done.
    done: int = 0
    # Handlers that have succeeded with the first event.
    handlers_done: int = 0
    attempts: int = 0
    error: BaseException | None = None
    error_text: str | None = None
    failing_since: float | None = None
    # As it is stored.
    row: UndeliveredRun | None = None

    def make_row(self) -> UndeliveredRun:
        """Returns the row that describes it."""
        return UndeliveredRun(
            self.stream,
            self.shard,
            self.version,
            self.position,
            self.attempts,
            self.error_text,
            self.failing_since,
            self.stage is Stage.PARKED,
        )


class Save(NamedTuple):
    """A change of the stored checkpoints and rows, to be written in one transaction."""

    # The checkpoint of each shard.
    positions: dict[int, int]
    # Rows to write, and the streams of rows to delete.
    written: list[UndeliveredRun]
    deleted: list[str]
    # The runs that it describes, with the row of each; None for no row.
    runs: list[tuple[PendingRun, UndeliveredRun | None]]


class Backlog:
    """The runs of the held shards that have events which are not done.

    `position` is the place from which events are read next. Not safe for threads.
    """

    def __init__(self) -> None:
        self.position = 0
        self.runs: dict[str, PendingRun] = {}
        # Changes each time that `position` moves back: pages that were read before are void.
        self.epoch = 0
        self._ready: list[tuple[int, str]] = []
        # Of each held shard: the position up to which its events are known, and its checkpoint.
        self._known: dict[int, int] = {}
        self._saved: dict[int, int] = {}
        self._leaving: set[int] = set()
        # Runs that changed since the last save.
        self._changed: dict[str, PendingRun] = {}
        # Runs that are not ready, and have no row.
        self._without_row: dict[str, PendingRun] = {}
        # Streams whose shard was lost while a handler ran, which still runs.
        self._left_behind: set[str] = set()
        # Runs that are ready and get a row, because their shard is given up.
        self._forced: set[str] = set()
        self._is_saving = False
        self.failing: dict[str, PendingRun] = {}
        # Events in memory.
        self.events = 0

    @property
    def shards(self) -> Collection[int]:
        """The shards that are held."""
        return self._known.keys()

    @property
    def is_saved(self) -> bool:
        """True if all that is done is stored."""
        return not self._changed and self._saved == self._known

    def find_done_position(self) -> int:
        """Returns the position up to which all events of held shards are done, or parked."""
        stage = Stage.SAVING
        return min(
            (
                (it.done if it.stage is stage else it.position) - 1
                for it in self.runs.values()
                if it.stage is not Stage.PARKED
            ),
            default=self.position,
        )

    def count_ready(self) -> int:
        """Returns the number of runs that wait for their turn."""
        return sum(it.stage is Stage.READY for it in self.runs.values())

    # Shards that come and go.

    def gain(self, shard: int, position: int, rows: Iterable[UndeliveredRun]) -> None:
        """Adds a shard with its checkpoint and rows."""
        if not self._known or position < self.position:
            self.position, self.epoch = position, self.epoch + 1
        self._known[shard] = self._saved[shard] = position
        for row in rows:
            run = PendingRun(*row[:4], is_loaded=False, row=row)
            run.attempts, run.error_text, run.failing_since = row[4:7]
            run.stage = Stage.PARKED if row.is_parked else Stage.READY
            self.runs[run.stream] = run
            if not row.is_parked:
                self._queue(run)

    def withdraw(self, shards: Iterable[int]) -> None:
        """Starts nothing more of these shards, which are given up once they are idle."""
        for shard in set(shards) & self._known.keys() - self._leaving:
            self._leaving.add(shard)
            runs = [it for it in self.runs.values() if it.shard == shard]
            begun = (it for it in runs if it.stage is not Stage.READY)
            highest = max((max(it.position, it.done) for it in begun), default=0)
            for run in runs:
                if run.stage is not Stage.READY or run.row is not None:
                    continue
                if run.position < highest:
                    self._forced.add(run.stream)
                    self._changed[run.stream] = run
                else:
                    self._known[shard] = min(self._known[shard], run.position - 1)
                    self._remove(run)

    def list_idle(self, shards: Iterable[int]) -> list[int]:
        """Returns those of the shards that can be given up: all that was begun is stored."""
        if self._is_saving:
            return []
        busy = {it.shard for it in (*self._changed.values(), *self._without_row.values())}
        under_way = (Stage.RUNNING, Stage.SAVING)
        busy |= {it.shard for it in self.runs.values() if it.stage in under_way}
        return [
            it
            for it in shards
            if it not in self._known
            or (it in self._leaving and it not in busy and self._saved[it] == self._known[it])
        ]

    def drop(self, shards: Iterable[int]) -> None:
        """Forgets shards that are not held any more. Their handlers that run are left to finish."""
        dropped = set(shards)
        for run in [it for it in self.runs.values() if it.shard in dropped]:
            if run.stage is Stage.RUNNING:
                self._left_behind.add(run.stream)
            self._remove(run)
        for shard in dropped:
            self._known.pop(shard, None)
            self._saved.pop(shard, None)
        self._leaving -= dropped

    # Events that were read.

    def accepts(self, shard: int, position: int) -> bool:
        """True if an event of a held shard is not known yet."""
        known = self._known.get(shard)
        return known is not None and position > known and shard not in self._leaving

    def add(self, page: Iterable[Entry], last: int) -> None:
        """Adds the events of a page that was read from `position`, up to the position `last`."""
        for position, stream, shard, delivery in page:
            if delivery is None or not self.accepts(shard, position):
                continue
            run = self.runs.get(stream)
            if run is None:
                run = PendingRun(stream, shard, delivery.version, position)
                self.runs[stream] = run
                self._queue(run)
            if run.is_loaded:
                if not run.deliveries:
                    run.version, run.position = delivery.version, position
                run.deliveries.append(delivery)
                self.events += 1
        self.position = last
        for shard, known in self._known.items():
            if shard not in self._leaving:
                self._known[shard] = max(known, last)

    def find_known(self, shard: int) -> int:
        """Returns the position up to which the events of a shard are known."""
        return self._known.get(shard, 0)

    def load(self, run: PendingRun, deliveries: Sequence[Delivery]) -> bool:
        """Sets the events of a run, up to `find_known` of before they were read.

        Those that became known meanwhile follow. Returns False if there are none: then the run is
        done.
        """
        run.deliveries.extendleft(reversed(deliveries))
        self.events += len(deliveries)
        if not run.deliveries:
            self._move(run, Stage.SAVING)
            self._changed[run.stream] = run
            return False
        run.version, run.position = run.deliveries[0].version, run.deliveries[0].position
        return True

    def prepare_loading(self, run: PendingRun) -> None:
        """Has the events of a run collected from here on, before the others are read."""
        self.events -= len(run.deliveries)
        run.deliveries.clear()
        run.is_loaded = True

    # The life of a run.

    def take(self) -> PendingRun | None:
        """Returns the run whose turn it is, which runs from here on; None if there is none."""
        skipped = []
        found = None
        while self._ready and found is None:
            position, stream = heappop(self._ready)
            run = self.runs.get(stream)
            if run is None or run.stage is not Stage.READY or run.position != position:
                continue
            if run.shard in self._leaving or stream in self._left_behind:
                skipped.append((position, stream))
                continue
            found = run
        for entry in skipped:
            heappush(self._ready, entry)
        if found is not None:
            self._move(found, Stage.RUNNING)
        return found

    def acknowledge(self, run: PendingRun) -> None:
        """Records that the first event of a run is done."""
        self.failing.pop(run.stream, None)
        run.handlers_done = run.attempts = 0
        run.error = run.error_text = run.failing_since = None
        finished = run.deliveries.popleft()
        self.events -= 1
        run.done = finished.position
        run.version, run.position = finished.version + 1, finished.position + 1
        if run.deliveries:
            run.version, run.position = run.deliveries[0].version, run.deliveries[0].position
        self._move(run, Stage.SAVING)
        self._changed[run.stream] = run

    def fail(self, run: PendingRun, error: BaseException, text: str, now: float) -> None:
        """Records that a handler failed with the first event of a run."""
        run.attempts += 1
        run.error, run.error_text = error, text
        run.failing_since = now if run.failing_since is None else run.failing_since
        self.failing[run.stream] = run
        self._changed[run.stream] = run

    def hold_back(self, run: PendingRun, *, park: bool) -> None:
        """Has a run that failed wait, and keeps only the first of its events in memory."""
        if len(run.deliveries) > 1:
            self.events -= len(run.deliveries) - 1
            run.deliveries = deque([run.deliveries[0]])
        run.is_loaded = False
        self._move(run, Stage.PARKED if park else Stage.FAILING)
        self._changed[run.stream] = run
        if park:
            self.failing.pop(run.stream, None)
            self.events -= len(run.deliveries)
            run.deliveries.clear()

    def retry(self, run: PendingRun) -> None:
        """Makes a run ready whose next attempt is due."""
        if self.runs.get(run.stream) is run and run.stage is Stage.FAILING:
            self._queue(run)

    def resume(self, rows: Iterable[UndeliveredRun]) -> None:
        """Makes parked runs ready that are not parked any more, as their stored rows say."""
        for row in rows:
            run = self.runs.get(row.stream)
            if run is not None and run.stage is Stage.PARKED and run.row != row:
                run.attempts, run.error_text, run.failing_since = row[4:7]
                run.row = row
                self._queue(run)

    def release(self, stream: str) -> None:
        """Records that a handler has ended whose shard was lost meanwhile."""
        self._left_behind.discard(stream)

    # What is stored.

    def plan(self, *, everything: bool) -> Save:
        """Returns the next change to store: of the shards that changed, or of all.

        Without positions there is nothing to store.
        """
        touched = {run.shard for run in self._changed.values()} & self._known.keys()
        positions = {it: self._known[it] for it in (self._known if everything else touched)}
        described = {**self._without_row, **self._changed}
        for position, stream in self._ready:
            waiting = self.runs.get(stream)
            if waiting is None or waiting.position != position or waiting.row is not None:
                continue
            if waiting.stage is not Stage.READY or waiting.shard not in positions:
                continue
            if stream not in self._forced:
                positions[waiting.shard] = min(positions[waiting.shard], position - 1)
        positions = {it: max(position, self._saved[it]) for it, position in positions.items()}
        written, deleted, runs = [], [], []
        for stream, run in described.items():
            if run.shard not in positions:
                continue
            is_done = run.stage is Stage.SAVING and run.is_loaded and not run.deliveries
            is_passed = run.position <= positions[run.shard] or run.attempts > 0
            row = run.make_row() if is_passed and not is_done else None
            if row is not None and row != run.row:
                written.append(row)
            elif row is None and run.row is not None:
                deleted.append(stream)
            runs.append((run, row))
        has_rows = {it.shard for it in written} | {self.runs[it].shard for it in deleted}
        positions = {
            it: position
            for it, position in positions.items()
            if it in has_rows or position != self._saved[it]
        }
        self._changed, self._is_saving = {}, True
        return Save(positions, written, deleted, runs)

    def keep(self, save: Save) -> None:
        """Takes back a change that could not be stored, for the next one."""
        self._is_saving = False
        for run, _ in save.runs:
            if self.runs.get(run.stream) is run:
                self._changed.setdefault(run.stream, run)

    def confirm(self, save: Save) -> None:
        """Records that a change was stored. Runs whose event is done go on with the next one."""
        self._is_saving = False
        for shard, position in save.positions.items():
            if shard in self._saved:
                self._saved[shard] = max(self._saved[shard], position)
        for run, row in save.runs:
            if self.runs.get(run.stream) is not run:
                continue
            run.row = row
            if run.stage is Stage.SAVING and run.stream not in self._changed:
                if run.is_loaded and not run.deliveries:
                    self._remove(run)
                    continue
                self._queue(run)
            else:
                self._note_row(run)

    def _queue(self, run: PendingRun) -> None:
        self._move(run, Stage.READY)
        if run.shard in self._leaving and run.row is None:
            self._forced.add(run.stream)
            self._changed[run.stream] = run
        heappush(self._ready, (run.position, run.stream))

    def _move(self, run: PendingRun, stage: Stage) -> None:
        run.stage = stage
        self._note_row(run)

    def _note_row(self, run: PendingRun) -> None:
        if run.row is None and run.stage is not Stage.READY:
            self._without_row[run.stream] = run
        else:
            self._without_row.pop(run.stream, None)

    def _remove(self, run: PendingRun) -> None:
        self.events -= len(run.deliveries)
        for kept in (self.runs, self._changed, self._without_row, self.failing):
            kept.pop(run.stream, None)
        self._forced.discard(run.stream)
