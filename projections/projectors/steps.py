"""The projection `steps`: keeps the table `run_steps` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.schema import run_steps
from projections.database.upsert import upsert
from projections.folding.batch_fold import BatchFold
from projections.folding.json_text import json_text, key_text, plain_text
from projections.folding.micros import SECOND, micros_or_none
from projections.folding.run_row import plausible_tokens
from projections.projectors.projection import Target
from tracker.core.events import RunStepRecorded
from tracker.event_store.store import RecordedEvent

_STEP_BYTES = 1500


class StepsProjection:
    """The steps of runs, one row each; a later record of a step replaces the earlier one."""

    name = "steps"
    version = 1
    is_own = False
    settings = None
    tables: Sequence[Table] = (run_steps,)

    def start_batch(self, fold: BatchFold) -> StepsBatch:
        """Returns an empty batch."""
        return StepsBatch(fold)


class StepsBatch:
    """The steps of one batch."""

    def __init__(self, fold: BatchFold) -> None:
        self._fold = fold
        # By run and step.
        self._rows: dict[str, dict[str, list[Any]]] = {}

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory the steps take."""
        return _STEP_BYTES * sum(map(len, self._rows.values()))

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Adds the steps of a page; they need no earlier events."""
        for recorded in page:
            key, event = recorded.stream, recorded.event
            if recorded.version == 1:
                # Those of a history that was forgotten after it was read.
                self._rows.pop(key, None)
            if type(event) is RunStepRecorded:
                try:
                    self._rows.setdefault(key, {})[event.step_id] = step_values(key, event)
                except Exception as error:
                    self._fold.set_aside(recorded, error)

    def write(self, connection: Connection, target: Target) -> None:
        """Writes each step once."""
        # Copies: what was refused is written again in parts.
        rows = [
            list(row)
            for key, steps in self._rows.items()
            if self._fold.is_written(key)
            for row in steps.values()
        ]
        upsert(connection, target(run_steps), rows)


def step_values(key: str, event: RunStepRecorded) -> list[Any]:
    """Returns the row of a step in the order of `run_steps`, times in microseconds."""
    created, ended = micros_or_none(event.created_at), micros_or_none(event.ended_at)
    seconds = None
    if created is not None and ended is not None:
        seconds = max(0, ended - created) / SECOND
    return [
        key,
        key_text(event.step_id),
        plain_text(event.type),
        plain_text(event.status),
        json_text(event.tools),
        created,
        ended,
        seconds,
        *plausible_tokens(event.usage),
    ]
