"""Compares both folds on so many databases, every fourth of them on PostgreSQL."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.report import write
from tests.second_fold.databases import Databases
from tests.support.postgres import running_postgres


def main() -> int:
    """Compares; returns 1 if there is any difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.second_fold", description=__doc__)
    parser.add_argument("--databases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first database")
    parser.add_argument("--questions", type=int, default=12, help="to each state of a database")
    parser.add_argument("--database", choices=("both", "sqlite", "postgresql"), default="both")
    parser.add_argument("--shown", type=int, default=5, help="differences of a database")
    options = parser.parse_args()
    started, different = time.monotonic(), 0
    with ExitStack() as stack:
        kinds = []
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.database != "postgresql":
            kinds += [Databases(folder)] * (3 if options.database == "both" else 1)
        if options.database != "sqlite":
            server = stack.enter_context(running_postgres())
            kinds.append(Databases(folder, server))
        for seed in range(options.seed, options.seed + options.databases):
            databases = kinds[seed // 2 % len(kinds)]
            found = databases.compare(seed, questions=options.questions)
            different += bool(found)
            for line in found[: options.shown]:
                write(line)
    write(
        f"{options.databases} databases, {different} with differences, "
        f"in {time.monotonic() - started:.0f} s"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
