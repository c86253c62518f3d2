"""Ten minutes with 2,000 active runs: memory, descriptors and threads stay as they are."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.report import machine, table, write
from tests.support.paths import ROOT
from tracker.simulator import Parameters, Simulator

# Growth from the second third of the time to the last one that is none: a share, and KiB.
_GROWTH, _GROWTH_KIB = 0.05, 8_192
_SPARE = 8


@dataclass(frozen=True)
class Settings:
    """Active runs, the seconds for which they are kept, and those that a run takes."""

    runs: int = 2_000
    seconds: float = 600.0
    run_seconds: float = 60.0


FULL = Settings()
TINY = Settings(runs=20, seconds=8.0, run_seconds=2.0)


def main(settings: Settings = FULL) -> None:
    """Soaks a service in a process of its own, and compares what it needed."""
    write("\n# Soaking: flat memory, descriptors and threads")
    lives = Parameters.ending(
        "completed",
        action=0.0,
        kinds=1,
        work_medians=(settings.run_seconds, settings.run_seconds),
        stretched=0.0,
    )
    with (
        Simulator(parameters=lives, many_active=True) as simulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        threads = [simulator.create_thread() for _ in range(100)]
        arguments = [f"sqlite:///{folder}/runs.db", simulator.base_url, str(settings.runs)]
        command = [sys.executable, "-m", "tests.support.soaked_service", *arguments]
        command += [str(settings.seconds), ",".join(threads)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    samples = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    third, rows = len(samples) // 3, []
    parts = samples[third : 2 * third] or samples, samples[2 * third :]
    for name, column in (("memory, KiB", 0), ("descriptors", 1), ("threads", 2)):
        second, last = (median(it[column] for it in part) for part in parts)
        rows.append((name, f"{second:,.0f}", f"{last:,.0f}"))
        spare = second * _GROWTH + _GROWTH_KIB if column == 0 else _SPARE
        # A short time is all warming up.
        assert settings is TINY or last <= second + spare, f"{name} grow from {second} to {last}"
    active = median(it[3] for it in samples[third:])
    rows.append(("active runs", f"{active:,.0f}", f"{samples[-1][4]:,} begun"))
    table("What the service needs", ("what", "second third", "last third"), rows)


if __name__ == "__main__":
    write(machine())
    main()
