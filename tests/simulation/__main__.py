"""Runs the simulation of so many seeds, and checks the laws of each."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tests.simulation import planted


def main() -> int:
    """Runs; returns 1 if a law broke, or if a planted bug was not found."""
    # The order of sets is part of what a seed decides.
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "first",
        help="the first seed, `regressions` for those of seeds.txt, or `planted` to search for "
        f"planted bugs, each within {planted.SEEDS} seeds",
    )
    parser.add_argument("count", nargs="?", default="1", help="the number of seeds, or a bug")
    parser.add_argument("--minutes", type=float, default=15.0, help="of chaos, simulated")
    parser.add_argument("--off", default="", help="faults and settings to leave out, with commas")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verbose", action="store_true", help="print all that happens")
    parser.add_argument("--no-shrink", action="store_true", help="leave a failing seed as it is")
    parser.add_argument("--until-broken", action="store_true", help="stop at the first failure")
    parser.add_argument("--planted", choices=planted.BUGS, help="simulate with a planted bug")
    options = parser.parse_args()
    if options.planted is not None:
        planted.plant(options.planted)
    # Not before: it loads the code of the project.
    report = import_module("tests.simulation.report")
    if options.first == "planted":
        return int(report.search_planted(options))
    with tempfile.TemporaryDirectory(prefix="runfold-simulation-") as folder:
        return int(report.run(options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
