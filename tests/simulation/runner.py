"""Runs simulations of many seeds on all cores, a process for each, and shrinks what fails."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from projections import Views
from tests.simulation.outcome import Outcome
from tests.simulation.simulation import Simulation
from tests.simulation.swarm import draw_swarm
from tracker.event_store import open_event_store


class Task(NamedTuple):
    """A simulation to run."""

    seed: int
    minutes: float
    # The settings that are at their defaults, whatever the seed draws.
    off: tuple[str, ...] = ()


class Runner:
    """Runs simulations, each in a process of its own: killed code of one is never cleaned up."""

    def __init__(self, folder: Path, *, is_verbose: bool = False) -> None:
        self._folder, self._is_verbose = folder, is_verbose
        # To migrate each database would take longer than its simulation.
        self._template = folder / "template.db"
        url = f"sqlite:///{self._template}"
        with Views(url) as views:
            views.upgrade()
        open_event_store(url).close()
        gc.freeze()

    def run(self, tasks: Sequence[Task], cores: int) -> Iterator[Outcome | Task]:
        """Yields the outcome of each simulation as it ends; the task of one that died."""
        waiting, running = list(reversed(tasks)), dict[int, tuple[Task, Path]]()
        while waiting or running:
            while waiting and len(running) < cores:
                task = waiting.pop()
                result = self._folder / f"result-{task.seed}-{len(waiting)}"
                running[self._start(task, result)] = task, result
            child, _ = os.wait()
            task, result = running.pop(child)
            if result.exists():
                yield pickle.loads(result.read_bytes())
                result.unlink()
            else:
                yield task

    def shrink(self, task: Task, laws: set[str], cores: int) -> Task:
        """Turns faults off, one after the other, while one of the laws still breaks."""
        for name in draw_swarm(task.seed).without(list(task.off)).on:
            smaller = task._replace(off=(*task.off, name))
            for outcome in self.run([smaller], cores):
                if isinstance(outcome, Outcome) and laws & {it.law for it in outcome.broken}:
                    task = smaller
        return task

    def _start(self, task: Task, result: Path) -> int:
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        status = 1
        with suppress(BaseException):
            result.write_bytes(pickle.dumps(self._simulate(task)))
            status = 0
        # No clean-up: it would run what a kill must not.
        sys.stdout.flush()
        os._exit(status)

    def _simulate(self, task: Task) -> Outcome:
        gc.disable()
        logging.disable(logging.NOTSET if self._is_verbose else logging.CRITICAL)
        swarm = draw_swarm(task.seed).without(list(task.off))
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            return Simulation(
                task.seed,
                task.minutes,
                swarm,
                Path(folder),
                self._template,
                is_verbose=self._is_verbose,
            ).run()
