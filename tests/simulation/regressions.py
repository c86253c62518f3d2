"""The seeds that once broke a law, and are run for ever."""

from __future__ import annotations

from pathlib import Path

from tests.simulation.runner import Task

FILE = Path(__file__).with_name("seeds.txt")


def read_regressions() -> list[Task]:
    """Returns the simulations of `seeds.txt`."""
    tasks = []
    for line in FILE.read_text().splitlines():
        seed, minutes, *off = line.partition("#")[0].split() or ("", "")
        if seed:
            tasks.append(
                Task(int(seed), float(minutes), tuple(",".join(off).split(",")) if off else ())
            )
    return tasks
