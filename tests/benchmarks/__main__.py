"""Runs the benchmarks that are named, or all of them, and prints Markdown tables."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.benchmarks.report import machine, write

NAMES = (
    "appending",
    "polling_nothing_new",
    "size",
    "catching_up",
    "asking",
    "importing",
    "importing_lines",
    "exporting",
    "polling_policy",
    "polling",
    "polling_scale",
    "workers",
    "embedding",
    "capturing",
)


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        write(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}")
        return 2
    write(machine())
    for name in names or NAMES:
        import_module(f"tests.benchmarks.{name}").main()
    write(machine())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
