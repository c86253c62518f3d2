"""Fuzzes the doors of runfold until so many documents have gone through each of them."""

from __future__ import annotations

import argparse
import sys
import time

from tests.benchmarks.report import write
from tests.fuzzing.doors import DOORS
from tests.fuzzing.rounds import FailedRound, databases, play_round


def main() -> int:
    """Runs the rounds; returns 1 if any of them broke a law."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("doors", nargs="*", default=[*DOORS], metavar="door")
    parser.add_argument("--documents", type=int, default=10_000, help="through each door")
    parser.add_argument("--size", type=int, default=2_000, help="documents of a round")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    if unknown := sorted(set(options.doors) - set(DOORS)):
        parser.error(f"no door {', '.join(unknown)}: there are {', '.join(DOORS)}")
    failed = 0
    with databases(options.database) as make_database:
        for door in options.doors:
            started, rounds = time.monotonic(), -(-options.documents // options.size)
            for seed in range(options.seed, options.seed + rounds):
                try:
                    play_round(door, seed, options.size, make_database)
                except FailedRound as error:
                    failed += 1
                    write(str(error))
            seconds = time.monotonic() - started
            write(
                f"{door}, {options.database}: {rounds * options.size} documents, seeds "
                f"{options.seed} to {options.seed + rounds - 1}, in {seconds:.0f} s"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
