"""Rounds of contenders in turns, and Markdown tables of the results."""

from __future__ import annotations

import gc
import os
import platform
import resource
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median


def take_turns(
    contenders: Mapping[str, Callable[[int], float]], rounds: int
) -> dict[str, list[float]]:
    """Measures contenders in turns, A B C A B C, so that noise hits all alike.

    A contender is called with the number of the round. A first round, of number 0, warms up; if
    no others are asked for, its results are returned.
    """
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, measure in contenders.items():
            settle()
            value = measure(number)
            if number or not rounds:
                measured[name].append(value)
    return measured


def settle() -> None:
    """Has the garbage collector pass over what is there, so that nobody pays for others' heaps."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def middle(values: Sequence[float]) -> float:
    """The median of the rounds."""
    return median(values)


def spread(values: Sequence[float]) -> str:
    """How far the rounds lie apart: slowest and fastest as a share of the median."""
    typical = median(values)
    return f"{min(values) / typical - 1:+.0%} to {max(values) / typical - 1:+.0%}"


def most_memory() -> int:
    """The most memory that this process has had so far, in KiB."""
    try:
        # What `getrusage` says begins with the most that the parent had.
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0])
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Writes a Markdown table under a heading."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    write(f"\n## {title}\n")
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        write(f"| {' | '.join(cells)} |")


def write(line: str) -> None:
    """Writes one line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def machine() -> str:
    """Where this runs, and how busy it is."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"\nPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{os.cpu_count()} cores, load {load}"
    )
