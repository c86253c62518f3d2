"""All figures of fairness and detection in one table, of this checkout and of an earlier commit.

`python -m tests.benchmarks.fairness_figures 5d6a0b7` measures both on simulated time, one after
the other; `only=…` chooses figures by the beginnings of their names. It takes half an hour.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from time import process_time

from tests.benchmarks import polling_policy
from tests.benchmarks.fairness import beside_refused, restart, use_of, without_limit
from tests.benchmarks.limited_service import Bucket, Follower, LimitedService
from tests.benchmarks.polled_service import Traffic
from tests.benchmarks.report import machine, table, write
from tests.benchmarks.virtual_time import VirtualClock, run
from tracker.polling.watch_list import WatchList

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(3)

# The aim of a figure, and the function that measures it and returns it in words.
Figures = Mapping[str, tuple[str, Callable[[], str]]]


def figures() -> Figures:
    """Returns the figures by their names."""
    found: dict[str, tuple[str, Callable[[], str]]] = {}
    for per_minute, kind, says_when in product(
        (60.0, 90.0, 500.0, 5_000.0), ("bucket", "windows"), (True, False)
    ):
        given = "with" if says_when else "without"
        found[f"{per_minute:g} a minute, {kind}, {given} Retry-After"] = (
            "85 % used, 2 % refused",
            partial(_use, per_minute, kind, says_when),
        )
    found["60 a minute, three workers"] = ("as one", partial(_use, 60.0, "bucket", True, 3))
    for runs, by, says_when in product(
        (20, 500), ("nobody", "run", "thread", "assistant"), (True, False)
    ):
        given = "with" if says_when else "without"
        found[f"{runs} runs, refused by {by}, {given} Retry-After"] = (
            "none unseen",
            partial(_neighbours, runs, by, says_when),
        )
    for runs in (1_000, 2_000):
        found[f"{runs:,} runs without a limit"] = ("p95 5 s", partial(_generous, runs))
    for runs in (500, 10_000):
        found[f"restart with {runs:,} open runs"] = (
            "first 0.3 s, all 1.2 N / rate",
            partial(_restart, runs),
        )
    aim = "p95 4.5 s, 2 % unseen"
    found["detection, first minute"] = (aim, partial(_detection, 0.0, 60.0))
    found["detection, minutes 2 to 5"] = (aim, partial(_detection, 60.0, 240.0))
    found["detection after a restart, first minute"] = (aim, partial(_detection, 0.0, 60.0, True))
    found["steps that wait after 2 and 6 minutes"] = ("does not grow", _backlog)
    found["processor time a request"] = ("2.5 ms", _own_cost)
    return found


def _use(per_minute: float, kind: str, says_when: bool, workers: int = 1) -> str:
    use = use_of(per_minute, kind, says_when=says_when, workers=workers)
    first = f"first minute {use.first_minute_refused:.2%}"
    return f"{use.used:.1%} used, {use.refused:.2%} refused, {first}"


def _neighbours(runs: int, by: str, says_when: bool) -> str:
    beside = beside_refused(runs, by, says_when=says_when)
    return f"{beside.looks:.1f} looks a s, {beside.unseen} unseen, {beside.refused:.2%} refused"


def _generous(runs: int) -> str:
    at = without_limit(runs)
    return f"p50 {at.p50:.2f} s, p95 {at.p95:.2f} s, {at.known} of {at.ends} known"


def _restart(runs: int) -> str:
    after = restart(runs)
    return f"first {after.first:.2f} s, all {after.all:.1f} s (aim {after.aim:.1f} s)"


def _detection(warm: float, measured: float, is_restart: bool = False) -> str:
    traffic = Traffic(100, warm=warm)
    if is_restart and not hasattr(WatchList, "paces"):
        return "nothing is kept"
    kept = (polling_policy.learn(traffic, 9),) if is_restart else ()
    outcomes = [
        polling_policy.simulate(traffic, seed, measured, *kept, of_all_ages=True) for seed in SEEDS
    ]
    delays = sorted(delay for outcome in outcomes for delay in outcome.delays)
    unseen = sum(outcome.told + outcome.missed for outcome in outcomes)
    p95 = delays[int(0.95 * len(delays))]
    return f"p95 {p95:.2f} s, {unseen / (unseen + len(delays)):.1%} unseen"


def _backlog() -> str:
    async def waiting(seconds: float, clock: VirtualClock) -> int:
        polled = polling_policy.Polled(Traffic(100, warm=seconds), 0, clock, 0.0)
        found = 0

        async def count() -> None:
            nonlocal found
            await asyncio.sleep(seconds)
            found = polled.poller.step_reads.waiting

        counting = asyncio.create_task(count())
        await polled.outcome()
        await counting
        return found

    numbers = [run(partial(waiting, seconds)) for seconds in (120.0, 360.0)]
    return " and ".join(map(str, numbers))


def _own_cost() -> str:
    async def scenario(clock: VirtualClock) -> str:
        service, follower = LimitedService(clock, Bucket(1000.0, 50.0)), Follower(clock)
        chance = Random(1)

        def begin(number: int) -> None:
            service.begin(f"run_{number}", chance.uniform(5.0, 85.0))
            follower.watch(service, f"run_{number}")

        async def go_on() -> None:
            for number in range(100, 1_000):
                begin(number)
                await asyncio.sleep(0.45)

        for number in range(100):
            begin(number)
        more, began = asyncio.create_task(go_on()), process_time()
        await follower.follow(120.0)
        more.cancel()
        spent = process_time() - began
        await follower.poller.close()
        return f"{spent / len(service.answered) * 1e3:.2f} ms"

    return run(scenario)


def measure(chosen: Sequence[str] = ()) -> dict[str, str]:
    """Measures the figures whose names begin like one of `chosen`, or all."""
    found = {}
    for name, (_, figure) in figures().items():
        if not chosen or any(name.startswith(begin) for begin in chosen):
            found[name] = figure()
            sys.stderr.write(f"{name}: {found[name]}\n")
    return found


def measure_commit(commit: str, chosen: Sequence[str]) -> dict[str, str]:
    """Measures the figures with the code of a commit, in a checkout that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", folder, commit], check=True)
        try:
            # The same worlds for both.
            for path in (__file__, polling_policy.__file__):
                shutil.copy(path, Path(folder, "tests/benchmarks", Path(path).name))
            command = [sys.executable, "-m", __spec__.name, "--json", *chosen]
            told = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)
    measured: dict[str, str] = json.loads(told)
    return measured


def main(arguments: Sequence[str]) -> None:
    """Prints the table, or the figures as JSON."""
    chosen = [it.removeprefix("only=") for it in arguments if it.startswith("only=")]
    if "--json" in arguments:
        sys.stdout.write(json.dumps(measure(arguments[1:])))
        return
    write(machine())
    commits = [it for it in arguments if not it.startswith("only=")]
    measured = [measure_commit(commit, chosen) for commit in commits] + [measure(chosen)]
    rows = [
        (name, aim, *(each[name] for each in measured))
        for name, (aim, _) in figures().items()
        if name in measured[-1]
    ]
    table("Fairness and detection", ("figure", "aim", *commits, "this checkout"), rows)


if __name__ == "__main__":
    main(sys.argv[1:])
