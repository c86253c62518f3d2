"""The projection `steps`: keeps the table `run_steps` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.schema import run_steps
from projections.database.upsert import upsert
from projections.folding.batch_fold import BatchFold
from projections.folding.json_text import json_text, plain_text
from projections.folding.micros import SECOND, micros_or_none
from projections.folding.run_row import believed
from projections.projectors.projection import Target
from tracker.core.events import RunStepRecorded
from tracker.core.usage import Usage
from tracker.event_store.store import RecordedEvent

_STEP_BYTES = 1500
_USAGE = attrgetter(*Usage.model_fields)
_NO_USAGE = (None,) * len(Usage.model_fields)


class StepsProjection:
    """Writes a row for each step; a step recorded again takes the place of the first record."""

    name = "steps"
    version = 1
    tables: Sequence[Table] = (run_steps,)

    def begin(self, fold: BatchFold) -> StepsBatch:
        """An empty batch."""
        return StepsBatch(fold)


class StepsBatch:
    """The steps of one batch."""

    def __init__(self, fold: BatchFold) -> None:
        self._fold = fold
        self._rows: dict[tuple[str, str], list[Any]] = {}

    @property
    def weight(self) -> int:
        """About how many bytes the steps hold."""
        return _STEP_BYTES * len(self._rows)

    def take(self, page: Sequence[RecordedEvent]) -> None:
        """Notes the steps of a page; nothing needs to be read for them."""
        for _, key, _, event in page:
            if type(event) is RunStepRecorded:
                self._rows[key, event.step_id] = step_values(key, event)

    def write(self, connection: Connection, target: Target) -> None:
        """Writes each step once."""
        pruned = self._fold.pruned
        rows = [row for (key, _), row in self._rows.items() if key not in pruned]
        upsert(connection, target(run_steps), rows)


def step_values(key: str, event: RunStepRecorded) -> list[Any]:
    """The row of a step as it is written, its moments as numbers."""
    created, ended = micros_or_none(event.created_at), micros_or_none(event.ended_at)
    known = created is not None and ended is not None
    return [
        key,
        plain_text(event.step_id),
        plain_text(event.type),
        plain_text(event.status),
        json_text(event.tools),
        created,
        ended,
        max(0, (ended or 0) - (created or 0)) / SECOND if known else None,
        *(_NO_USAGE if event.usage is None else believed(_USAGE(event.usage))),
    ]
