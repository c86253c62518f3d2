"""The projection `actions`: keeps the table `run_actions` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.database.schema import run_actions
from projections.database.upsert import upsert
from projections.folding.actions import HANDLERS, Actions, action_values, take
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import Target
from tracker.core.events import RunActionRequired
from tracker.core.snapshot import ToolCall
from tracker.event_store.store import RecordedEvent

_ACTION_BYTES = 1000


class ActionsProjection:
    """Folds what opens and closes a wait, and writes the actions that changed."""

    name = "actions"
    version = 1
    tables: Sequence[Table] = (run_actions,)

    def begin(self, fold: BatchFold) -> ActionsBatch:
        """An empty batch."""
        return ActionsBatch(fold)


class ActionsBatch:
    """The actions of the runs of one batch."""

    def __init__(self, fold: BatchFold) -> None:
        self._fold = fold
        self._runs: dict[str, Actions] = {}
        self._begun: set[str] = set()
        self.weight = 0

    def take(self, page: Sequence[RecordedEvent]) -> None:
        """Folds a page; a run is read where its first event is not in the batch."""
        runs = self._runs
        older: dict[str, Actions] = {}
        for _, key, version, event in page:
            kind = type(event)
            if version == 1:
                self._begun.add(key)
            elif kind in HANDLERS and key not in runs:
                # Most runs never wait, and those that begin here need not be looked up.
                if key not in self._begun:
                    older[key] = runs[key] = Actions(key)
                elif kind is RunActionRequired:
                    runs[key] = Actions(key)
        for key, before in self._fold.past(older).items():
            for recorded in before:
                take(older[key], recorded)
            # The table has these as they are.
            older[key].changed.clear()
        for recorded in page:
            found = runs.get(recorded.stream)
            if found is not None:
                take(found, recorded)
                if isinstance(recorded.event, RunActionRequired):
                    self.weight += sum(map(_weight, recorded.event.tool_calls))

    def write(self, connection: Connection, target: Target) -> None:
        """Writes each action that was required or resolved."""
        changed = [
            action_values(run.key, action)
            for run in self._runs.values()
            if run.key not in self._fold.pruned
            for action in run.changed.values()
        ]
        upsert(connection, target(run_actions), changed)


def _weight(call: ToolCall) -> int:
    return _ACTION_BYTES + len(call.arguments or "")
