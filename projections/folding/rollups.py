"""The changes that ended runs make to the rollups.

A run counts in the quarter of an hour of its creation. The values that it counted before a batch
are subtracted, so that a late correction changes the sums by the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from projections.folding.batch_fold import FoldedRun
from projections.folding.histogram import bucket_of
from projections.folding.micros import HOUR, QUARTER
from projections.row_types import RunRow, field_names

PHASES = ("queued", "running", "action", "total")

# Where a run's row has the values that are counted.
_INDEX = field_names(RunRow).index
_SOURCE, _ASSISTANT, MODEL = map(_INDEX, ("source", "assistant_id", "model"))
OUTCOME, CREATED = map(_INDEX, ("outcome", "created_at"))
TIER = _INDEX("service_tier")
TOKENS = slice(_INDEX("prompt_tokens"), TIER)
_VALUES = slice(_INDEX("queued_seconds"), _INDEX("total_seconds") + 1)
_BOUNDS = slice(_INDEX("queued_at_least_seconds"), _INDEX("total_at_most_seconds") + 1)

# A part of the primary key of a rollup: the hour and the quarter, or the dimensions.
Key = tuple[Any, ...]


def rollup_keys(values: Sequence[Any]) -> tuple[Key, Key]:
    """Returns hour and quarter of a run's creation, and its source, assistant and model."""
    created = values[CREATED]
    time = (created - created % HOUR, created % HOUR // QUARTER)
    return time, (values[_SOURCE], values[_ASSISTANT] or "", values[MODEL] or "")


def usage_counts(values: Sequence[Any]) -> list[int | None]:
    """Returns 1 for the run, 1 if it reports no usage, and its tokens."""
    tokens = values[TOKENS]
    is_without_usage = tokens[0] is None and tokens[1] is None and tokens[2] is None
    return [1, int(is_without_usage), *tokens]


def usage_changes(runs: Iterable[FoldedRun]) -> dict[tuple[Key, Key], list[int | None]]:
    """Returns the changes to `usage_hourly`, by time and by dimensions with outcome and tier.

    After each count, how many runs report it: a sum that no run is left in is unknown, not zero.
    """
    changes: dict[tuple[Key, Key], list[int | None]] = {}
    for run in runs:
        if run.values[OUTCOME] is None:
            continue
        key, added = _usage_key(run.values), _usage_row(run.values)
        if run.before is not None:
            before_key, before = _usage_key(run.before), _usage_row(run.before)
            if (key, added) == (before_key, before):
                continue
            _add_to(changes, before_key, negate(before))
        _add_to(changes, key, added)
    return changes


def _keys_with_outcome(values: Sequence[Any]) -> tuple[Key, Key]:
    time, dimensions = rollup_keys(values)
    return time, (*dimensions, values[OUTCOME])


def _usage_key(values: Sequence[Any]) -> tuple[Key, Key]:
    time, dimensions = _keys_with_outcome(values)
    return time, (*dimensions, values[TIER] or "")


def _usage_row(values: Sequence[Any]) -> list[int | None]:
    return [*usage_counts(values), *(int(it is not None) for it in values[TOKENS])]


def timing_changes(runs: Iterable[FoldedRun]) -> dict[tuple[Key, Key], list[int]]:
    """Returns the changes to `timing_buckets`, by time and by the other parts of its key.

    They are three counts: of durations, of what they are at least, and of what they are at most.
    """
    changes: dict[tuple[Key, Key], list[int]] = {}
    for run in runs:
        values, before = run.values, run.before
        if values[OUTCOME] is None:
            continue
        keys = _keys_with_outcome(values)
        if before is not None:
            before_keys = _keys_with_outcome(before)
            same = before[_VALUES] == values[_VALUES] and before[_BOUNDS] == values[_BOUNDS]
            if same and before_keys == keys:
                continue
            _count_times(changes, before_keys, before, -1)
        _count_times(changes, keys, values, 1)
    return changes


def _count_times(
    changes: dict[tuple[Key, Key], list[int]],
    keys: tuple[Key, Key],
    values: Sequence[Any],
    count: int,
) -> None:
    time, dimensions = keys
    for phase, bucket, measure in timing_buckets(values[_VALUES], values[_BOUNDS]):
        key = (time, (*dimensions, phase, bucket))
        counts = changes.get(key)
        if counts is None:
            counts = changes[key] = [0, 0, 0]
        counts[measure] += count


def timing_buckets(
    values: Sequence[float | None], bounds: Sequence[float | None]
) -> Iterator[tuple[str, float, int]]:
    """Yields the phases of a run with their buckets: of 0 the duration, 1 and 2 its bounds.

    A run counts by its bounds in each phase that it may have had, and by the duration only where
    that is known.
    """
    for place, phase in enumerate(PHASES):
        seconds, least = values[place], bounds[2 * place]
        if seconds is not None:
            yield phase, bucket_of(seconds), 0
        if least is not None:
            yield phase, bucket_of(least), 1
            yield phase, bucket_of(bounds[2 * place + 1]), 2


def negate(counts: Sequence[int | None]) -> list[int | None]:
    """Returns counts to subtract."""
    return [None if it is None else -it for it in counts]


def _add_to(
    changes: dict[tuple[Key, Key], list[int | None]],
    key: tuple[Key, Key],
    counts: list[int | None],
) -> None:
    known = changes.get(key)
    changes[key] = counts if known is None else add_counts(known, counts)


def sum_over_time(
    changes: dict[tuple[Key, Key], Any], add: Callable[[Any, Any], Any]
) -> dict[Key, Any]:
    """Returns the same changes by dimensions alone, for the totals over all time."""
    sums: dict[Key, Any] = {}
    for (_, dimensions), added in changes.items():
        known = sums.get(dimensions)
        sums[dimensions] = added if known is None else add(known, added)
    return sums


def add_counts(one: Sequence[int | None], other: Sequence[int | None]) -> list[int | None]:
    """Adds counts one by one; None where both are None."""
    return list(map(_add, one, other))


def _add(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
