"""Fairness and use of a service's limit, by the whole poller on virtual time.

How much of a limit is used and how much refused in the ten minutes after the first; what one
refused run, thread or assistant costs the others; how soon a service without a limit is found out,
how soon a limit of 5,000 a minute; three workers on one limit; and a start with many open runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from random import Random
from statistics import median
from time import process_time

from tests.benchmarks.limited_service import Bucket, Follower, Limit, LimitedService, Windows
from tests.benchmarks.report import machine, table, write
from tests.benchmarks.virtual_time import VirtualClock, run
from tracker.core.state import RunState
from tracker.polling.recovery import resume
from tracker.recording.pending_runs import Pending

LIMITS: dict[str, Callable[[float], Limit]] = {"bucket": Bucket, "windows": Windows}
# Enough runs that all could use up the limit.
RUNS = {60.0: 100, 90.0: 100, 500.0: 400, 5_000.0: 3_000}


@dataclass(frozen=True)
class Use:
    """The used part of a limit, and the refused part of the requests."""

    used: float
    refused: float
    first_minute_refused: float


def use_of(
    per_minute: float,
    kind: str,
    *,
    says_when: bool,
    minutes: float = 10.0,
    seed: int = 0,
    workers: int = 1,
) -> Use:
    """Returns the use of a limit in the minutes after the first."""

    async def scenario(clock: VirtualClock) -> Use:
        limit = LIMITS[kind](per_minute)
        service = LimitedService(clock, limit, says_when)
        followers = [Follower(clock, 31 * seed + number) for number in range(workers)]
        chance, numbers = Random(seed), count()

        def begin(ended: str) -> None:
            number = next(numbers)
            service.begin(f"run_{number}", chance.uniform(30.0, 240.0))
            followers[number % workers].watch(service, f"run_{number}")

        service.on_end = begin
        for number in range(RUNS.get(per_minute, 300)):
            begin(f"run_{number}")
        share_between(followers)
        await asyncio.gather(*(each.follow(60.0 * (1 + minutes)) for each in followers))
        for each in followers:
            await each.poller.close()
        answered = sum(at >= 60.0 for at in service.answered)
        refused = sum(at >= 60.0 for at in service.refused)
        early = len(service.refused) - refused
        first = len(service.answered) - answered + early
        return Use(answered / (per_minute * minutes), refused / (answered + refused), early / first)

    return run(scenario)


def share_between(followers: Sequence[Follower]) -> None:
    """Tells each of several followers its part of the source's rate."""
    for number, each in enumerate(followers):
        if len(followers) > 1:
            each.watch_list.set_ownership(partial(_owns, len(followers), number))


def _owns(workers: int, number: int, source: str, thread_id: str) -> bool:
    return int(thread_id.rpartition("_")[2]) % workers == number


@dataclass(frozen=True)
class Neighbours:
    """The looks a second at the runs that are not refused, and how many were never seen."""

    looks: float
    unseen: int
    refused: float


def beside_refused(
    runs: int, by: str, *, says_when: bool = True, seconds: float = 180.0, seed: int = 0
) -> Neighbours:
    """Returns what one refused run, thread or assistant leaves to the other runs."""

    def refuses(thread_id: str, run_id: str) -> bool:
        match by:
            case "run":
                return run_id == "run_7"
            case "thread":
                return thread_id == "thread_2"
            case "assistant":
                return run_id.endswith("7")
        return False

    async def scenario(clock: VirtualClock) -> Neighbours:
        service = LimitedService(clock, Bucket(1000.0, 50.0), says_when, refuses=refuses)
        follower = Follower(clock, seed)
        for number in range(runs):
            # Three runs on each thread.
            thread = number // 3 if by == "thread" else number
            follower.watch(service, f"run_{number}", f"thread_{thread}")
        await follower.follow(seconds)
        await follower.poller.close()
        others = [
            f"run_{number}"
            for number in range(runs)
            if not refuses(f"thread_{number // 3}", f"run_{number}")
        ]
        looks = sum(len(service.seen.get(run_id, ())) for run_id in others)
        unseen = sum(run_id not in service.seen for run_id in others)
        share = len(service.refused) / (len(service.refused) + len(service.answered))
        return Neighbours(looks / seconds, unseen, share)

    return run(scenario)


@dataclass(frozen=True)
class Generous:
    """The delay until ends are known without a limit, from `since` seconds on."""

    p50: float
    p95: float
    ends: int
    known: int
    all_seen: float
    a_second: float
    cpu: float


def without_limit(runs: int, *, seconds: float = 75.0, since: float = 30.0) -> Generous:
    """Returns how late the ends of runs of 10 to 30 s are known, 5 ms away."""

    async def scenario(clock: VirtualClock) -> Generous:
        chance, service, follower = Random(1), LimitedService(clock, latency=0.005), Follower(clock)
        began = process_time()

        def begin(number: int) -> None:
            service.begin(f"run_{number}", chance.uniform(10.0, 30.0))
            follower.watch(service, f"run_{number}")

        async def go_on() -> None:
            for number in range(runs, 1_000_000):
                await asyncio.sleep(20.0 / runs)
                begin(number)

        for number in range(runs):
            begin(number)
        more = asyncio.create_task(go_on())
        await follower.follow(seconds)
        more.cancel()
        await follower.poller.close()
        end = clock.monotonic()
        ended = [at for at in service.ends.values() if since <= at < seconds - 5.0]
        known = dict(service.delays)
        late = sorted(known.get(at, end - at) for at in ended)
        first = [service.seen.get(f"run_{number}", [float("inf")])[0] for number in range(runs)]
        asked = sum(at >= since for at in service.answered) / (seconds - since)
        return Generous(
            median(late),
            late[int(0.95 * len(late))],
            len(ended),
            sum(at in known for at in ended),
            max(first),
            asked,
            (process_time() - began) / len(service.answered),
        )

    return run(scenario)


@dataclass(frozen=True)
class Restart:
    """Seconds until the first, half and all of the open runs were polled; 1.2 runs / rate."""

    first: float
    half: float
    all: float
    aim: float


def restart(runs: int, per_minute: float = 1000.0) -> Restart:
    """Returns how soon a tracker has looked at the runs that an earlier one left open."""

    async def scenario(clock: VirtualClock) -> Restart:
        service, follower = LimitedService(clock, Bucket(per_minute, 50.0)), Follower(clock)
        states = [
            RunState(
                "assistants",
                f"run_{number}",
                f"thread_{number}",
                status="in_progress",
                created_at=clock.now(),
                assistant_id="asst_1",
            )
            for number in range(runs)
        ]
        resume(follower.watch_list, follower.updates, {"assistants": service}, Pending(states, []))
        aim = 1.2 * runs / (per_minute / 60)
        await follower.follow(1.5 * aim + 5)
        await follower.poller.close()
        first = sorted(looks[0] for looks in service.seen.values())
        first += [float("inf")] * (runs - len(first))
        return Restart(first[0], first[runs // 2], first[-1], aim)

    return run(scenario)


@dataclass(frozen=True)
class Settings:
    """The limits, runs and minutes that are measured."""

    limits: Sequence[float] = (60.0, 90.0, 500.0, 5_000.0)
    minutes: float = 10.0
    neighbours: Sequence[int] = (20, 500)
    generous: Sequence[int] = (1_000, 2_000)
    restarts: Sequence[int] = (500, 10_000)


FULL = Settings()
TINY = replace(FULL, limits=(60.0,), minutes=1.0, neighbours=(20,), generous=(20,), restarts=(20,))


def main(settings: Settings = FULL) -> None:
    """Measures all of it."""
    rows: list[tuple[str, ...]] = []
    for per_minute in settings.limits:
        for kind in LIMITS:
            for says_when in (True, False):
                use = use_of(per_minute, kind, says_when=says_when, minutes=settings.minutes)
                given = "with" if says_when else "without"
                rows.append(
                    (
                        *(f"{per_minute:g} a minute, {kind}, {given} Retry-After",),
                        *(f"{use.used:.1%}", f"{use.refused:.2%}"),
                        *(f"{use.first_minute_refused:.2%}",),
                    )
                )
                write(" | ".join(rows[-1]))
    use = use_of(60.0, "bucket", says_when=True, minutes=settings.minutes, workers=3)
    rows.append(
        (
            *("60 a minute, bucket, three workers", f"{use.used:.1%}", f"{use.refused:.2%}"),
            f"{use.first_minute_refused:.2%}",
        )
    )
    table("Use of a limit after the first minute", ("limit", "used", "refused", "before"), rows)
    rows = []
    for runs in settings.neighbours:
        for by in ("nobody", "run", "thread", "assistant"):
            for says_when in (True, False):
                beside = beside_refused(runs, by, says_when=says_when)
                given = "with" if says_when else "without"
                rows.append(
                    (
                        *(f"{runs} runs, refused by {by}, {given} Retry-After",),
                        *(f"{beside.looks:.1f}", f"{beside.unseen}", f"{beside.refused:.2%}"),
                    )
                )
                write(" | ".join(rows[-1]))
    table("Beside refused runs", ("runs", "looks a second", "never seen", "refused"), rows)
    rows = []
    for runs in settings.generous:
        at = without_limit(runs)
        rows.append(
            (
                *(f"{runs:,}", f"{at.p50:.2f}", f"{at.p95:.2f}", f"{at.known} of {at.ends}"),
                *(f"{at.all_seen:.1f}", f"{at.a_second:.0f}", f"{at.cpu * 1e6:.0f} µs"),
            )
        )
    header = ("active runs", "p50 s", "p95 s", "ends known", "all seen after s", "requests a s")
    table("Without a limit, 5 ms away", (*header, "CPU a request"), rows)
    rows = []
    for runs in settings.restarts:
        after = restart(runs)
        rows.append(
            (
                *(f"{runs:,}", f"{after.first:.2f}", f"{after.half:.1f}", f"{after.all:.1f}"),
                f"{after.aim:.1f}",
            )
        )
    table("A restart at 1,000 a minute", ("open runs", "first s", "half s", "all s", "aim"), rows)


if __name__ == "__main__":
    write(machine())
    main()
