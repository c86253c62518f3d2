"""Runs simulations from the command line, and reports them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from tests.benchmarks.report import write
from tests.simulation.outcome import Outcome
from tests.simulation.planted import BUGS, search
from tests.simulation.regressions import read_regressions
from tests.simulation.runner import Runner, Task


def run(options: Namespace, folder: Path) -> int:
    """Runs the seeds of the options. Returns 1 if a law broke, else 0."""
    runner = Runner(folder, is_verbose=options.verbose)
    tasks = _make_tasks(options)
    outcomes: list[Outcome] = []
    failed: list[Task] = []
    for outcome in runner.run(tasks, options.cores):
        if isinstance(outcome, Task):
            write(f"seed {outcome.seed}: its process died")
            failed.append(outcome)
            continue
        outcomes.append(outcome)
        write(outcome.line)
        if not outcome.broken:
            continue
        task = next(it for it in tasks if it.seed == outcome.seed)
        failed.append(task)
        for law, detail, at in outcome.broken:
            write(f"    {law}, at {at:.2f} s: {detail}")
        if not options.no_shrink:
            task = runner.shrink(task, {it.law for it in outcome.broken}, options.cores)
        write(f"    {command_of(task)}")
        if options.until_broken:
            break
    cpu = sum(it.cpu for it in outcomes) / 60
    hours = sum(it.hours for it in outcomes)
    write(
        f"{len(outcomes)} seeds, {hours:.1f} simulated hours in {cpu:.1f} minutes of a core "
        f"({hours / max(cpu, 1e-9):.1f} h a minute), {sum(it.runs for it in outcomes)} runs, "
        f"{sum(it.events for it in outcomes)} events, {sum(it.kills for it in outcomes)} kills, "
        f"{sum(it.faults for it in outcomes)} faults, "
        f"{sum(it.checked for it in outcomes)} laws checked, {len(failed)} seeds failed"
    )
    return 1 if failed else 0


def _make_tasks(options: Namespace) -> list[Task]:
    if options.first == "regressions":
        return read_regressions()
    off = tuple(filter(None, options.off.split(",")))
    first, count = int(options.first), int(options.count)
    return [Task(seed, options.minutes, off) for seed in range(first, first + count)]


def search_planted(options: Namespace) -> int:
    """Searches for planted bugs, or for the one of the options. Returns 1 if one is not found."""
    names = [options.count] if options.count in BUGS else list(BUGS)
    missed = 0
    for name in names:
        found = search(name, min(options.minutes, 4.0), options.cores)
        missed += found is None
        write(f"{name}: {found or 'NOT FOUND'}")
    write(f"{len(names) - missed} of {len(names)} planted bugs found")
    return 1 if missed else 0


def command_of(task: Task) -> str:
    """Returns the command that runs a task again."""
    off = f" --off {','.join(task.off)}" if task.off else ""
    return f"python -m tests.simulation {task.seed} --minutes {task.minutes:g}{off}"
