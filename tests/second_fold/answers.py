"""The answers of the second fold: sums over runs, one by one, with no table between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, inf
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.second_fold.prices import VERSION, price_run
from tests.second_fold.runs import TOKENS, Run
from tests.second_fold.timing import clean

# Answers by these are the same after a prune, and all but those about times by the tier too.
KEPT = frozenset(("source", "assistant_id", "model", "outcome", "status", "day", "hour"))
PHASES = ("queued", "running", "action", "total")
QUARTER = timedelta(minutes=15)

# A group in a form that can be compared, and the runs in it.
Group = tuple[object, ...]
# The columns of an answer by group.
Answer = dict[Group, dict[str, Any]]


class Question(NamedTuple):
    """The arguments of a question."""

    by: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    tz: str = "UTC"

    def includes(self, moment: datetime) -> bool:
        """True if a run of this creation is within the limits."""
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment < self.until
        )


class Tables(NamedTuple):
    """The runs of a database at a time."""

    runs: dict[str, Run]
    # Runs that ended before are pruned.
    pruned_before: datetime | None = None
    # Runs that were forgotten and are still in a rollup, by its name.
    forgotten: dict[str, list[Run]] = {}  # noqa: RUF012 - never modified

    @property
    def has_sums_without_rows(self) -> bool:
        """True if rollups may count runs that have no rows."""
        return self.pruned_before is not None or any(self.forgotten.values())

    def rows(self) -> list[Run]:
        """Returns the runs that have rows."""
        return [it for it in self.runs.values() if not self.is_pruned(it)]

    def is_pruned(self, run: Run) -> bool:
        """True if the rows of a run are deleted and its sums are kept."""
        ended_at = run.row["ended_at"]
        return self.pruned_before is not None and bool(ended_at and ended_at < self.pruned_before)

    def counted(self, rollup: str, question: Question) -> dict[Group, list[Run]]:
        """Returns the ended runs of each group."""
        kept: list[Run] = []
        if (KEPT if rollup == "timing" else KEPT | {"service_tier"}).issuperset(question.by):
            # Limits within a quarter of an hour need the rows.
            gone = [*filter(self.is_pruned, self.runs.values()), *self.forgotten.get(rollup, ())]
            kept = [it for it in gone if _has_whole_quarter(question, it.row["created_at"])]
        return _group([it for it in (*self.rows(), *kept) if it.is_ended], question)


def sum_usage(tables: Tables, question: Question) -> Answer:
    """Returns the answer to `usage`."""
    return {
        group: {
            "runs": len(runs),
            "runs_without_usage": sum(
                all(it.row[name] is None for name in TOKENS[:3]) for it in runs
            ),
            **{name: _sum(it.row[name] for it in runs) for name in TOKENS},
        }
        for group, runs in tables.counted("usage", question).items()
    }


def sum_costs(tables: Tables, question: Question) -> Answer:
    """Returns the answer to `cost`."""
    return {group: _sum_cost(runs) for group, runs in tables.counted("costs", question).items()}


def list_unpriced(tables: Tables) -> Answer:
    """Returns the answer to `unpriced`."""
    found = sum_costs(tables, Question(("source", "model", "service_tier")))
    return {
        group: {"runs": it["unpriced_runs"]} for group, it in found.items() if it["unpriced_runs"]
    }


def count_statuses(tables: Tables, question: Question) -> Answer:
    """Returns the answer to `status_counts`; the status is the last part of the group."""
    counts: Answer = {}
    open_runs = _group([it for it in tables.rows() if not it.is_ended], question)
    for groups in (tables.counted("usage", question), open_runs):
        for group, runs in groups.items():
            for run in runs:
                count = counts.setdefault((*group, run.row["status"]), {"runs": 0})
                count["runs"] += 1
    return counts


def measure_timing(tables: Tables, question: Question, percentiles: Sequence[float]) -> Answer:
    """Returns the answer to `timing`; the phase is the last part of the group.

    Mean and percentiles are exact.
    """
    answer: Answer = {}
    for group, runs in tables.counted("timing", question).items():
        for phase in PHASES:
            names = (f"{phase}_seconds", f"{phase}_at_least_seconds", f"{phase}_at_most_seconds")
            times = [[it.row[name] for name in names] for it in runs]
            known = sorted(it[0] for it in times if it[0] is not None)
            least = sorted(it[1] for it in times if it[1] is not None)
            most = [it[2] for it in times if it[1] is not None]
            if not least:
                continue
            limits = sorted(inf if it is None else it for it in most)
            answer[(*group, phase)] = {
                "runs": len(known),
                "unknown": len(least) - len(known),
                "mean_seconds": sum(known) / len(known) if known else None,
                "mean_at_least_seconds": sum(least) / len(least),
                "mean_at_most_seconds": None if None in most else sum(limits) / len(limits),
                "percentiles": {it: _nearest(known, it) if known else None for it in percentiles},
                "ranges": {
                    it: (_nearest(least, it), _finite(_nearest(limits, it))) for it in percentiles
                },
            }
    return answer


def _finite(limit: float) -> float | None:
    return None if limit == inf else limit


def group_value(value: object) -> object:
    """Returns a value of a group in a form that can be compared."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [it for it in counts if it is not None]
    return sum(known) if known else None


def _sum_cost(runs: Sequence[Run]) -> dict[str, Any]:
    silent = [it for it in runs if None in (it.row["prompt_tokens"], it.row["completion_tokens"])]
    costs = [it for it in map(price_run, runs) if it is not None]
    sides = [Decimal(sum(it[side] for it in costs)) / 10**9 for side in (0, 1, 2)]
    dollars = [*sides[:2], sum(sides)] if costs else [None] * 3
    names = ("input_dollars", "output_dollars", "total_dollars")
    return {
        "runs": len(runs),
        "runs_without_usage": len(silent),
        "unpriced_runs": len(runs) - len(silent) - len(costs),
        **dict(zip(names, dollars, strict=True)),
        "price_versions": (VERSION,),
    }


def _nearest(ordered: Sequence[float], percent: float) -> float:
    return ordered[ceil(Fraction(str(percent)) * len(ordered) / 100) - 1]


def _has_whole_quarter(question: Question, moment: datetime) -> bool:
    begin = datetime(moment.year, moment.month, moment.day, moment.hour, tzinfo=UTC)
    begin += (moment - begin) // QUARTER * QUARTER
    return (question.since is None or question.since <= begin) and (
        question.until is None or begin + QUARTER <= question.until
    )


def _group(runs: Iterable[Run], question: Question) -> dict[Group, list[Run]]:
    groups: dict[Group, list[Run]] = {}
    zone = ZoneInfo(question.tz)
    for run in runs:
        if question.includes(run.row["created_at"]):
            values = (_value(run, name, zone) for name in question.by)
            groups.setdefault(tuple(map(group_value, values)), []).append(run)
    return groups


def _value(run: Run, name: str, zone: ZoneInfo) -> object:
    created: datetime = run.row["created_at"]
    if name == "day":
        return created.astimezone(zone).date()
    if name == "hour":
        return _begin_hour(created.replace(second=0, microsecond=0), zone).astimezone(zone)
    if name.startswith("metadata."):
        return _metadata_text(run.row["metadata"].get(clean(name.removeprefix("metadata."))))
    # An empty text says no more than none.
    return run.row[name] or None


@lru_cache(10_000)
def _begin_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    """Returns the first minute of an hour as the clocks of a zone show it.

    An hour ends where the clocks are changed.
    """
    name: Callable[[datetime], tuple[object, ...]] = lambda it: (  # noqa: E731
        (local := it.astimezone(zone)).date(),
        local.hour,
        local.utcoffset(),
    )
    minute = timedelta(minutes=1)
    while name(moment - minute) == name(moment):
        moment -= minute
    return moment


def _metadata_text(value: Any) -> str | None:
    if value is None:
        return None
    # An empty text says no more than none.
    return (value or None) if isinstance(value, str) else json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    """Returns a JSON value in which 1.0 is 1."""
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(it) for key, it in value.items()}
    return list(map(_whole, value)) if isinstance(value, list) else value
