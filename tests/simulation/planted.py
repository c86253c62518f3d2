"""Planted bugs: changes of a line of the project, each of which has to be found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

# A bug has to be found within so many seeds.
SEEDS = 200


class PlantedBug(NamedTuple):
    """A line of a module, and what it is replaced by."""

    module: str
    line: str
    instead: str


BUGS = {
    "a hold is ignored": PlantedBug(
        "tracker.polling.error_policy",
        "hold = backoff(limiter.next_refused_tries + 1, asked=error.retry_after, jitter=jitter)",
        "hold = backoff(limiter.next_refused_tries + 1, asked=None, jitter=jitter)",
    ),
    "a refused key is never tried again": PlantedBug(
        "tracker.polling.error_policy",
        "limiter.is_refusing, limiter.refusal, limiter.probe_at = True, error, until",
        "limiter.is_refusing, limiter.refusal, limiter.probe_at = True, error, until + 1e9",
    ),
    "open runs are not resumed": PlantedBug(
        "tracker.polling.recovery",
        "open_runs = [state for state in pending.open if state.source in sources]",
        "open_runs = []",
    ),
    "runs of a dead worker are not taken over": PlantedBug(
        "tracker.leases.coordinator",
        "self._watch(state, spread * number / len(adopted))",
        "pass",
    ),
    "a bound is from when the answer came": PlantedBug(
        "tracker.polling.requests.run_polls",
        "watched.unchanged_until, watched.stale_read = answer.asked_at, None",
        "watched.unchanged_until, watched.stale_read = answer.observed_at, None",
    ),
    "an end is recorded again": PlantedBug(
        "tracker.core.decider",
        "        if snapshot.status == state.status or snapshot.stays_waiting:\n"
        "            add_corrections(decision)",
        "        if snapshot.status == state.status or snapshot.stays_waiting:\n"
        "            _follow_status(decision)",
    ),
    "a pause is invented": PlantedBug(
        "tracker.core.decider", "    if is_working:\n", "    if True:\n"
    ),
    "an end has the time of the creation": PlantedBug(
        "tracker.core.decider",
        'occurred_at=None if ("stopped", snapshot.ended_at) in past else snapshot.ended_at,',
        'occurred_at=None if ("stopped", snapshot.ended_at) in past else snapshot.created_at,',
    ),
    "a handler that failed counts as done": PlantedBug(
        "tracker.delivery.dispatcher", "elif error is None:", "elif error is None or True:"
    ),
    "the lease of a dead process never ends": PlantedBug(
        "tracker.delivery.ledger",
        "OR held_until NOT BETWEEN {self._now}",
        "OR held_until BETWEEN 1e99 + {self._now}",
    ),
    "a first batch is not written": PlantedBug(
        "projections.runner.catch_up",
        "            batch.write(connection)\n",
        "            batch.write(connection) if position else None\n",
    ),
    "a run is counted twice": PlantedBug(
        "projections.folding.rollups",
        "return [1, int(is_without_usage), *tokens]",
        "return [2, int(is_without_usage), *tokens]",
    ),
}


class _Loader(SourceFileLoader):
    """Loads a module with a planted bug."""

    bug: PlantedBug

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text("utf-8")
        if source.count(self.bug.line) != 1:
            raise ImportError(f"{self.path} has not once: {self.bug.line}")
        return compile(source.replace(self.bug.line, self.bug.instead), self.path, "exec")


class _Finder(MetaPathFinder):
    """Finds the module of a planted bug."""

    def __init__(self, bug: PlantedBug) -> None:
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == self._bug.module else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
            spec.loader.bug = self._bug
        return spec


def plant(name: str) -> None:
    """Plants a bug; its module is not to be imported before."""
    if BUGS[name].module in sys.modules:
        raise ImportError(f"{BUGS[name].module} is loaded already")
    sys.meta_path.insert(0, _Finder(BUGS[name]))


def search(name: str, minutes: float, cores: int) -> str | None:
    """Returns the line about the first seed that finds a bug; None if none does."""
    command = [sys.executable, "-m", "tests.simulation", "1", str(SEEDS), "--planted", name]
    options = ["--until-broken", "--no-shrink", "--minutes", str(minutes), "--cores", str(cores)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    lines = [it for it in done.stdout.splitlines() if it.startswith("seed")]
    return lines[-1] if done.returncode == 1 and lines else None
