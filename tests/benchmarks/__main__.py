"""Runs the named benchmarks, or all of them, and prints Markdown tables."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from tests.benchmarks.report import machine, write

NAMES = (
    "appending",
    "maintaining",
    "polling_nothing_new",
    "remembering",
    "size",
    "catching_up",
    "asking",
    "looking",
    "odd_times",
    "importing",
    "importing_lines",
    "exporting",
    "true_times",
    "polling_policy",
    "fairness",
    "polling",
    "polling_scale",
    "workers",
    "delivering",
    "starting",
    "outages",
    "embedding",
    "capturing",
    "kills",
    "soaking",
    "bursting",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs each benchmark to its end; returns 1 if any of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of: {', '.join(NAMES)}")
    parser.add_argument("--tiny", action="store_true", help="once, with tiny numbers: a check")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}")
    write(machine())
    failed = [name for name in options.names or NAMES if not _succeeds(name, tiny=options.tiny)]
    write(machine())
    if failed:
        write(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


def _succeeds(name: str, *, tiny: bool) -> bool:
    try:
        benchmark = import_module(f"tests.benchmarks.{name}")
        benchmark.main(benchmark.TINY if tiny else benchmark.FULL)
    except Exception:
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
