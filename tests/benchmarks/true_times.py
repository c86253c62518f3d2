"""What the tables say of the times of runs, beside the truth of a simulation.

On virtual time, in worlds of many runs; and over HTTP, in a few runs of the simulator.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import inf, nan
from random import Random
from statistics import fmean

from projections.row_types import PhaseRow, RunRow
from tests.benchmarks.databases import sqlite_files
from tests.benchmarks.report import machine, table, write
from tests.benchmarks.true_worlds import TrueRun, World, follow, own_calls
from tests.support.run_builder import rows_after
from tracker import Tracker, open_event_store
from tracker.core.events import Event
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Faults, Parameters, Simulator
from tracker.sources import Assistants

KINDS = ("first queue", "queued", "running", "action", "total")
# Bounds are whole microseconds, and the truth is not.
_EXACT = 2e-6
_WORLD = World()
WORLDS: Mapping[str, World] = {
    **{f"looks every {gap} s": World(gap=gap) for gap in (0.3, 0.5, 1.0, 2.0, 5.0)},
    "looks at random, every 8 s": World(gap=8.0, is_random=True),
    **{
        f"created by us, looks every {gap} s": own_calls(World(gap=gap))
        for gap in (0.3, 0.5, 1.0, 2.0)
    },
    "created by us, no steps, 0.5 s": own_calls(World(gap=0.5, has_steps=False)),
    "created by us, no steps, 1 s": own_calls(World(has_steps=False)),
    "service 1.5 s behind": replace(_WORLD, ahead=-1.5),
    "service 5 s behind": replace(_WORLD, ahead=-5.0),
    "same clock": replace(_WORLD, ahead=0.0),
    "drift of 50 ppm": replace(_WORLD, drift=50e-6),
    "stamps of milliseconds": replace(_WORLD, has_fractions=True),
    "30 % of answers lost": replace(_WORLD, lost=0.3),
    "no stamps of starts": replace(_WORLD, has_starts=False),
    "no steps": replace(_WORLD, has_steps=False),
    "no steps, no stamps of starts": replace(_WORLD, has_steps=False, has_starts=False),
    "imported after the end": replace(_WORLD, created=0.0, late=1.0),
    "imported, no steps": replace(_WORLD, created=0.0, late=1.0, has_steps=False),
}


@dataclass
class Figures:
    """A duration of many runs: errors and half widths in seconds, and its runs without a value.

    `alone` are the errors of the stamps alone. `false` are those whose bounds are false.
    """

    runs: int = 0
    unknown: int = 0
    errors: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def add(
        self, true: float, value: float | None, least: float, most: float, stamps: float | None
    ) -> None:
        """Adds the duration of a run: the true one, that of the tables, and that by the stamps."""
        self.runs += 1
        if not least - _EXACT <= true <= most + _EXACT:
            self.false.append(f"{true:.6f} s is not within {least:.6f} to {most:.6f} s")
        if stamps is not None:
            self.alone.append(abs(stamps - true))
        if value is None:
            self.unknown += 1
            return
        self.errors.append(abs(value - true))
        if most < inf:
            self.widths.append((most - least) / 2)

    @property
    def error(self) -> float:
        """Returns the mean error of the known values; nan without any."""
        return fmean(self.errors) if self.errors else nan

    @property
    def share_unknown(self) -> float:
        """Returns the share of the runs without a value."""
        return self.unknown / self.runs if self.runs else nan

    def __str__(self) -> str:
        width = fmean(self.widths) if self.widths else nan
        return f"{self.error:.3f} ({width:.2f}) {self.share_unknown:.0%}"


def judge(runs: Iterable[TrueRun]) -> dict[str, Figures]:
    """Returns the figures of followed runs by kind of duration."""
    figures = {kind: Figures() for kind in KINDS}
    for run in runs:
        row, phases = rows_after(*run.events)
        first = phases[0]
        is_told = first.status == "queued"
        value, least = (first.seconds, first.at_least_seconds) if is_told else (None, 0.0)
        figures["first queue"].add(
            *(run.first_queue, value, least or 0.0, _to_limit(first.at_most_seconds)),
            _between_stamps(row, "started_at"),
        )
        _add_sums(figures, row, phases, run.sums())
    return figures


def _add_sums(
    figures: Mapping[str, Figures],
    row: RunRow,
    phases: Sequence[PhaseRow],
    true: Mapping[str, float],
) -> None:
    for kind, seconds in true.items():
        value, least, most = (
            getattr(row, f"{kind}{it}_seconds") for it in ("", "_at_least", "_at_most")
        )
        if least is None:
            # The tables have no phase of the kind: it took as long as may lie unseen, or nothing.
            continue
        stamps = _between_stamps(row, "ended_at") if kind == "total" else None
        figures[kind].add(seconds, value, least, _to_limit(most), stamps)
    known = [it.seconds for it in phases if it.seconds is not None]
    if len(known) == len(phases):
        # To the microsecond, but for the last digits of floats.
        assert abs(sum(known) - (row.total_seconds or 0)) < 5e-7, row.run_key


def _between_stamps(row: RunRow, name: str) -> float | None:
    created_at, moment = row.created_at, getattr(row, name)
    if created_at is None or moment is None or row.outcome == "expired":
        return None
    return float((moment - created_at).total_seconds())


def _to_limit(seconds: float | None) -> float:
    return inf if seconds is None else seconds


class ShiftedClock:
    """A clock of unix seconds that is ahead of the machine's, and gains or loses time."""

    def __init__(self, ahead: float, drift: float = 0.0) -> None:
        self.ahead, self.drift, self._zero = ahead, drift, time.monotonic()
        self._start = time.time() + ahead

    def now(self) -> float:
        """Returns its time."""
        return self._start + (1 + self.drift) * (time.monotonic() - self._zero)


def follow_over_http(
    url: str, ahead: float, number: int, *, gap: float = 0.2, drift: float = 0.0, seed: int = 0
) -> list[TrueRun]:
    """Follows runs of a service over HTTP; half of them are created by our own calls.

    One answer of twenty is lost.
    """
    parameters = Parameters(time_scale=0.05, stretched=0.0, unanswered=0.0, endless=0.0)
    simulator = Simulator(
        seed=seed,
        clock=ShiftedClock(ahead, drift),
        parameters=parameters,
        faults=Faults(unavailable=0.05),
        many_active=True,
    )
    cadence = Cadence(shortest=gap, longest=gap, start=200.0)

    async def main() -> None:
        api = Assistants(simulator.base_url, api_key="key")
        async with Tracker(url, api, cadence=cadence) as tracker:
            chance, run_ids = Random(seed), []
            for place in range(number):
                thread_id = simulator.create_thread()
                if place % 2:
                    run = await tracker.runs.create(thread_id, assistant_id="asst_1")
                    run_ids.append(run.id)
                else:
                    run_ids.append(simulator.create_run(thread_id).run_id)
                    await asyncio.sleep(chance.random() * gap)
                    await tracker.watch(thread_id, run_ids[-1])
            await asyncio.gather(*(tracker.wait(it, timeout=300) for it in run_ids))

    with simulator:
        asyncio.run(main())
        with closing(open_event_store(url)) as store:
            return [
                TrueRun(_life_of(simulator, it), tuple(_read(store.read(f"assistants:{it}"))), True)
                for it in simulator.run_ids()
            ]


def _life_of(simulator: Simulator, run_id: str) -> Sequence[tuple[str, float]]:
    truth = simulator.truth(run_id)
    return [(status, at - truth.created_at) for status, at in truth.transitions]


def _read(entries: Iterable[object]) -> Iterator[Event]:
    for entry in entries:
        yield entry.event  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Settings:
    """Runs of each world, and of each service over HTTP."""

    runs: int = 600
    over_http: int = 60


FULL = Settings()
TINY = Settings(runs=8, over_http=2)


def main(settings: Settings = FULL) -> None:
    """Measures the worlds, and a few services."""
    header = ("world", *KINDS, "bounds hold", "stamps alone: first queue, total")
    rows = [
        _row(name, judge(follow(world, settings.runs, seed=1))) for name, world in WORLDS.items()
    ]
    write("\nMean error in seconds (mean half width), and the share of runs without a value.")
    table(f"Times of {settings.runs} runs, on virtual time", header, rows)
    rows = []
    for name, ahead, drift in (
        ("same clock", 0.0, 0.0),
        ("1.5 s behind", -1.5, 0.0),
        ("5 s behind", -5.0, 0.0),
        ("37.2 s ahead, 50 ppm", 37.2, 50e-6),
    ):
        with sqlite_files() as files:
            runs = follow_over_http(files(), ahead, settings.over_http, drift=drift)
        rows.append(_row(name, judge(runs)))
    table(f"Times of {settings.over_http} runs, over HTTP, looks every 0.2 s", header, rows)


def _row(name: str, figures: Mapping[str, Figures]) -> Sequence[str]:
    number = sum(it.runs for it in figures.values())
    false = sum(len(it.false) for it in figures.values())
    assert not false, (name, [it.false for it in figures.values()])
    alone = (fmean(it.alone) if it.alone else nan for it in (figures[KINDS[0]], figures["total"]))
    return (
        name,
        *(str(figures[kind]) for kind in KINDS),
        f"{1 - false / number:.2%}",
        ", ".join(f"{it:.3f}" for it in alone),
    )


if __name__ == "__main__":
    write(machine())
    main(Settings(int(sys.argv[1])) if len(sys.argv) > 1 else FULL)
