"""How long runs take: means and exact percentiles of their phases, the same on each database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from math import ceil, fsum

from sqlalchemy import Connection, select

from projections.grouping import By, created_between, group_names, sort_key
from projections.queries import TimingRow
from projections.schema import runs
from tracker.errors import SettingsError

PHASES = ("queued", "running", "action", "total")


def measure(
    connection: Connection,
    by: By,
    percentiles: Sequence[float],
    since: datetime | None,
    until: datetime | None,
) -> list[TimingRow]:
    """A row for each group and phase that some ended run went through.

    The times of open runs are not yet whole: they may queue, run and wait again.
    """
    names = group_names(by)
    for percent in percentiles:
        if not 0 < percent <= 100:
            raise SettingsError(f"a percentile is above 0 and up to 100, not {percent}")
    columns = [runs.c[name] for name in (*names, *(f"{phase}_seconds" for phase in PHASES))]
    query = created_between(select(*columns, runs.c.uncertainty_seconds), since, until)
    query = query.where(runs.c.outcome.is_not(None))
    times: dict[tuple[object, ...], tuple[list[float], list[float | None]]] = {}
    for row in connection.execute(query):
        group, uncertainty = tuple(row[: len(names)]), row[-1]
        for phase, seconds in zip(PHASES, row[len(names) : -1], strict=True):
            if seconds is not None:
                known, widths = times.setdefault((*group, phase), ([], []))
                known.append(seconds)
                widths.append(uncertainty)
    answers = [
        _timing(dict(zip(names, key, strict=False)), str(key[-1]), known, widths, percentiles)
        for key, (known, widths) in times.items()
    ]
    return sorted(answers, key=lambda it: (sort_key(it.group), PHASES.index(it.phase)))


def nearest_rank(ordered: Sequence[float], percent: float) -> float:
    """The smallest of `ordered` that `percent` per cent of them do not exceed."""
    # Exact: in floating point 99.9 per cent of 1,000 is a little more than 999.
    rank = ceil(Fraction(str(percent)) * len(ordered) / 100)
    return ordered[rank - 1]


def _timing(
    group: dict[str, object],
    phase: str,
    known: list[float],
    widths: list[float | None],
    percentiles: Sequence[float],
) -> TimingRow:
    ordered = sorted(known)
    limited = [width for width in widths if width is not None]
    uncertainty = fsum(limited) / len(limited) if len(limited) == len(widths) else None
    ranks = {percent: nearest_rank(ordered, percent) for percent in percentiles}
    return TimingRow(group, phase, len(known), fsum(known) / len(known), uncertainty, ranks)
