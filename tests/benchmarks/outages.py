"""PostgreSQL in trouble: appends beside its maintenance, connections that go silent, outages.

Asserts that nothing is lost or doubled, and that readers by position miss nothing; the times are
shown beside their aims.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from tests.benchmarks.databases import Fresh, postgres_databases
from tests.benchmarks.report import machine, middle, table, write
from tests.support.database_outages import Outcome, play
from tests.support.run_builder import STATUS_CHANGED
from tests.support.three_writers import run_writers
from tests.support.tracker_settings import PLAIN
from tracker import open_event_store
from tracker.event_store import Append
from tracker.simulator import Simulator


@dataclass(frozen=True)
class Settings:
    """Seconds of appending, and of each outage; calls on a server with an idle timeout."""

    writing: float = 120
    outages: Sequence[float] = (3, 12, 60)
    silence: bool = True
    calls: int = 8


FULL = Settings()
TINY = Settings(writing=1, outages=(1,), silence=False, calls=0)


def append_beside_maintenance(url: str, seconds: float) -> None:
    """Has three writers append alone, then beside VACUUM and ANALYZE, with two readers."""
    rows = []
    for what, maintain, share in (("alone", False, 0.25), ("beside them", True, 1.0)):
        outcome = run_writers(url, seconds * share, maintain=maintain)
        assert outcome.missed == 0
        appends = sorted(outcome.appends)
        rows.append(
            (
                what,
                f"{outcome.events:,}",
                str(outcome.missed),
                str(outcome.maintained),
                f"{middle(appends) * 1000:.1f} ms",
                f"{appends[int(len(appends) * 0.999)] * 1000:.1f} ms",
                f"{appends[-1] * 1000:.1f} ms",
            )
        )
    table(
        f"3 writers and 2 readers by position for {seconds:g} s beside VACUUM and ANALYZE",
        ("appends", "events", "missed", "maintenance", "p50", "p99.9", "longest (aim: 60 ms)"),
        rows,
    )


def call_beside_idle_timeout(url: str, calls: int) -> None:
    """Calls every four seconds on a server that ends a connection which is idle for three."""
    with closing(open_event_store(f"{url}?options=-cidle_session_timeout%3D3s")) as store:
        for number in range(calls):
            store.append([Append(f"assistants:run_{number}", 0, [STATUS_CHANGED])])
            time.sleep(4)
    write(f"\n{calls} calls, one every 4 s, with an idle timeout of 3 s: none failed")


def outlast(fresh: Fresh, settings: Settings) -> None:
    """Tracks runs over outages, and beside connections that go silent."""
    rows = []
    kinds = [(seconds, False) for seconds in settings.outages]
    if settings.silence:
        kinds.append((0.0, True))
    for seconds, silent in kinds:
        with Simulator(parameters=PLAIN) as simulator:
            outcome = play(fresh(), simulator, seconds, silent=silent)
        assert _losses(outcome) == (0, 0, 0)
        rows.append(
            (
                "silent connections" if silent else f"away for {seconds:g} s",
                f"{outcome.runs} runs: nothing",
                "" if silent else str(outcome.asked),
                f"{outcome.back:.1f} s",
                f"{outcome.left:.1f} s",
            )
        )
    table(
        "A tracker and its database. Aims: recording again within 30 s, left within 10",
        ("trouble", "lost", "polls sent meanwhile, all recorded", "recording again", "left in"),
        rows,
    )


def _losses(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.without_end, outcome.without_steps, outcome.doubled


def main(settings: Settings = FULL) -> None:
    """Measures on a server of its own."""
    write("\n# Outages: nothing is lost, and nobody waits without end")
    with postgres_databases(durable=False) as fresh:
        append_beside_maintenance(fresh(), settings.writing)
        call_beside_idle_timeout(fresh(), settings.calls)
        outlast(fresh, settings)


if __name__ == "__main__":
    write(machine())
    main()
