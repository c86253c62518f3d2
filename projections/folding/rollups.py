"""What ended runs add to the rollups, as pure arithmetic of their rows.

A run counts in the quarter of an hour of its creation. What it counted before a batch is taken
away again, so that a late correction moves the sums by the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from projections.folding.batch_fold import FoldedRun
from projections.folding.histogram import bucket_of
from projections.folding.micros import SECOND
from projections.row_types import RunRow

# Beside the four that a run spends its time in: how far off they may be.
UNCERTAINTY = "uncertainty"
PHASES = ("queued", "running", "action", "total", UNCERTAINTY)

_QUARTER = 900 * SECOND
_HOUR = 4 * _QUARTER

_INDEX = RunRow._fields.index
_SOURCE, _ASSISTANT, _MODEL = map(_INDEX, ("source", "assistant_id", "model"))
_OUTCOME, _CREATED = map(_INDEX, ("outcome", "created_at"))
_TOKENS = slice(_INDEX("prompt_tokens"), _INDEX("reasoning_tokens") + 1)
_TIMES = slice(_INDEX("queued_seconds"), _INDEX("uncertainty_seconds") + 1)

# The key of a run's quarter of an hour and of its kind, and what is counted under both.
Key = tuple[Any, ...]


def place(values: Sequence[Any]) -> tuple[Key, Key]:
    """The hour and quarter of a run's creation, and its kind: source, assistant and model."""
    created = values[_CREATED]
    time = (created - created % _HOUR, created % _HOUR // _QUARTER)
    return time, (values[_SOURCE], values[_ASSISTANT] or "", values[_MODEL] or "")


def usage_of(values: Sequence[Any]) -> list[int | None]:
    """What a run adds: itself, whether it says nothing of its usage, and its tokens."""
    tokens = values[_TOKENS]
    silent = tokens[0] is None and tokens[1] is None and tokens[2] is None
    return [1, int(silent), *tokens]


def usage_changes(runs: Iterable[FoldedRun]) -> dict[tuple[Key, Key], list[int | None]]:
    """By time and kind with outcome: what a batch of runs adds to the usage."""
    changes: dict[tuple[Key, Key], list[int | None]] = {}
    for run in runs:
        outcome = run.values[_OUTCOME]
        if outcome is None:
            continue
        added = usage_of(run.values)
        if run.before is not None:
            before = usage_of(run.before)
            if added == before:
                continue
            added = [_less(new, old) for new, old in zip(added, before, strict=True)]
        time, kind = place(run.values)
        key = (time, (*kind, outcome))
        known = changes.get(key)
        changes[key] = added if known is None else list(map(_plus, known, added))
    return changes


def timing_changes(runs: Iterable[FoldedRun]) -> dict[tuple[Key, Key], int]:
    """By time and kind with phase and bucket: what a batch of runs adds to the counts."""
    changes: dict[tuple[Key, Key], int] = {}
    get = changes.get
    for run in runs:
        values, before = run.values, run.before
        if values[_OUTCOME] is None:
            continue
        times = values[_TIMES]
        if before is not None and before[_TIMES] == times:
            continue
        time, kind = place(values)
        for phase, seconds in zip(PHASES, times, strict=True):
            if seconds is not None:
                key = (time, (*kind, phase, bucket_of(seconds)))
                changes[key] = get(key, 0) + 1
        if before is not None:
            for phase, seconds in zip(PHASES, before[_TIMES], strict=True):
                if seconds is not None:
                    key = (time, (*kind, phase, bucket_of(seconds)))
                    changes[key] = get(key, 0) - 1
    return changes


def totals(changes: dict[tuple[Key, Key], Any], plus: Callable[[Any, Any], Any]) -> dict[Key, Any]:
    """The same by kind alone."""
    found: dict[Key, Any] = {}
    for (_, kind), added in changes.items():
        known = found.get(kind)
        found[kind] = added if known is None else plus(known, added)
    return found


def plus_usage(one: Sequence[int | None], other: Sequence[int | None]) -> list[int | None]:
    """The sum of two usages, None where neither says anything."""
    return list(map(_plus, one, other))


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def _less(new: int | None, old: int | None) -> int | None:
    return new if old is None else (new or 0) - old
