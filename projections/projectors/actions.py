"""The projection `actions`: keeps the table `run_actions` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.database.schema import run_actions
from projections.database.upsert import upsert
from projections.folding.actions import HANDLERS, RunActions, action_values, fold_actions
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import Target
from tracker.core.events import RunActionRequired
from tracker.core.snapshot import ToolCall
from tracker.event_store.store import RecordedEvent

_ACTION_BYTES = 1000


class ActionsProjection:
    """The calls that runs waited for: a batch writes those that it changed."""

    name = "actions"
    version = 1
    settings = None
    tables: Sequence[Table] = (run_actions,)

    def start_batch(self, fold: BatchFold) -> ActionsBatch:
        """Returns an empty batch."""
        return ActionsBatch(fold)


class ActionsBatch:
    """The actions of the runs of one batch."""

    def __init__(self, fold: BatchFold) -> None:
        self._fold = fold
        self._runs: dict[str, RunActions] = {}
        self._new: set[str] = set()
        self.held_bytes = 0

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Folds a page; reads the earlier events of runs that began before the batch."""
        runs = self._runs
        known: dict[str, RunActions] = {}
        for _, key, version, event in page:
            kind = type(event)
            if version == 1:
                self._new.add(key)
                # Of a history that was forgotten after it was read.
                runs.pop(key, None)
            elif kind in HANDLERS and key not in runs:
                # Most runs never wait, and a new run has no earlier events to read.
                if key not in self._new:
                    known[key] = runs[key] = RunActions(key)
                elif kind is RunActionRequired:
                    runs[key] = RunActions(key)
        for key, earlier in self._fold.read_earlier(known).items():
            for recorded in earlier:
                self._apply(recorded)
            # The table has these rows already.
            known[key].changed.clear()
        for recorded in page:
            if recorded.stream in runs:
                self._apply(recorded)
                if isinstance(recorded.event, RunActionRequired):
                    self.held_bytes += sum(map(_estimate_bytes, recorded.event.tool_calls))

    def write(self, connection: Connection, target: Target) -> None:
        """Writes each action that was required or resolved."""
        changed = [
            action_values(run.key, action)
            for run in self._runs.values()
            if self._fold.is_written(run.key)
            for action in run.changed.values()
        ]
        upsert(connection, target(run_actions), changed)

    def _apply(self, recorded: RecordedEvent) -> None:
        try:
            fold_actions(self._runs[recorded.stream], recorded)
        except Exception as error:
            self._fold.set_aside(recorded, error)


def _estimate_bytes(call: ToolCall) -> int:
    return _ACTION_BYTES + len(call.arguments or "")
