"""The demo: a simulated service, a tracker of it, and tables, all real and all at once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shlex
import sys
import urllib.request
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from time import monotonic

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from sqlalchemy import make_url

from projections import Views
from tracker.app.tracker import Tracker
from tracker.cli.tables import print_status, print_timing, print_usage, with_progress
from tracker.cli.terminal import console, hush, messages
from tracker.core.state import RunState
from tracker.errors import NotFound, RequestRefused, RunfoldError, Unreachable
from tracker.event_store import EventStore
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Parameters, Simulator
from tracker.sources.assistants.resource import Assistants

# Real time, made short: stamps stay in step with our clock, as a service's do.
DEMO_LIVES = Parameters(
    time_scale=0.15,
    stretched_to=40.0,
    action=0.35,
    answers="client",
    failed=0.06,
    incomplete=0.04,
    cancelled=0.04,
    endless=0.02,
    expires_after=7.0,
)
DEMO_CADENCE = Cadence(longest=1.0, step=0.1, start=50.0)
ASSISTANTS = tuple(f"asst_{name}" for name in ("research", "support", "billing", "planner"))
UNANSWERED = 0.04
SOURCE = "demo"
QUERY = "SELECT model, outcome, count(*), sum(total_tokens) FROM runs GROUP BY 1, 2"


@dataclass
class DemoProgress:
    """How far a demo is: how many runs have ended, and in which way."""

    total: int
    outcomes: Counter[str] = field(default_factory=Counter)
    watching: Counter[str] = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        """How many runs have come to their end."""
        return sum(self.outcomes.values())


def show_demo(db: str, *, runs: int, threads: int, seed: int | None, base_url: str | None) -> None:
    """Runs the demo with live progress, then prints tables and where everything is."""
    seed = random.randrange(10_000) if seed is None else seed
    out = console()
    began = monotonic()
    with Views(db) as views:
        views.prepare(create=True)
        with_progress(views)
        if not base_url:
            seed = _unused(views, seed, threads)
            # Runs of an earlier demo, whose service is gone, are counted as vanished instead.
            hush()
        simulator = nullcontext() if base_url else Simulator(seed=seed, parameters=DEMO_LIVES)
        with simulator as service:
            url = base_url or (service.base_url if service else "")
            out.print(
                f"{runs} runs on {threads} threads of an Assistants service at {url}, seed {seed}"
            )
            asyncio.run(_live(db, url, runs=runs, threads=threads, seed=seed))
        with_progress(views)
        out.print(f"done in {monotonic() - began:.1f} s\n")
        print_status(views)
        print_timing(views)
        print_usage(views, by="model")
    out.print(f"The database is {_place(db)}. Ask it anything:\n")
    out.print(f"  {_question(db)}")


def _unused(views: Views, seed: int, threads: int) -> int:
    """The seed, or the next whose runs the database has not: one seed gives the same ids again."""
    while True:
        simulator = Simulator(seed=seed)
        ids = [simulator.create_thread() for _ in range(min(threads, 100))]
        if not views.runs(thread_id=ids, limit=1):
            return seed
        seed += 1


def _place(db: str) -> str:
    url = make_url(db)
    return url.database or "" if url.get_backend_name() == "sqlite" else _without_password(db)


def _question(db: str) -> str:
    """A line for a shell that asks the database something, with the interpreter that runs this."""
    if make_url(db).get_backend_name() == "sqlite":
        connect = f"import sqlite3; [print(*row) for row in sqlite3.connect({_place(db)!r})"
    else:
        connect = f"import psycopg; [print(*row) for row in psycopg.connect({_place(db)!r})"
    code = f"{connect}.execute('{QUERY}')]"
    is_safe = not set('"$`\\!') & set(code)
    return f"{_interpreter()} -c " + (f'"{code}"' if is_safe else shlex.quote(code))


def _interpreter() -> str:
    here = os.path.join(os.getcwd(), "")
    shown = sys.executable.removeprefix(here)
    return shlex.quote(shown) if os.name == "posix" else f'"{shown}"'


def _without_password(db: str) -> str:
    url = make_url(db).set(drivername="postgresql")
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    return url.render_as_string(hide_password=True)


async def _live(db: str, base_url: str, *, runs: int, threads: int, seed: int) -> None:
    progress = DemoProgress(runs)
    bar = Progress(TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    task = bar.add_task("", total=runs)
    working = asyncio.create_task(
        run_demo(db, base_url, runs=runs, threads=threads, seed=seed, progress=progress)
    )
    err = messages()
    live = Live(bar, console=err, refresh_per_second=10, transient=True)
    try:
        with live if err.is_terminal else nullcontext():
            while not working.done():
                await asyncio.wait([working], timeout=0.1)
                bar.update(task, completed=progress.ended, total=progress.total)
                live.update(
                    Group(bar, _line("now", progress.watching), _line("ended", progress.outcomes))
                )
    except asyncio.CancelledError:
        # The tracker has to be left in good order before its event loop is.
        working.cancel()
        await asyncio.wait([working])
        raise
    try:
        await working
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of ours that stopped the demo, or the whole group where there is none."""
    ours = group.subgroup(RunfoldError)
    error: BaseException = ours or group
    while ours and isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _line(title: str, counts: Counter[str]) -> Text:
    parts = "  ".join(f"{status} {number}" for status, number in sorted(counts.items()))
    return Text(f"{title:>6}  {parts}")


async def run_demo(
    store: str | EventStore,
    base_url: str,
    *,
    runs: int,
    threads: int,
    seed: int,
    progress: DemoProgress,
) -> None:
    """Creates `runs` runs on `threads` threads, answers their calls, and sees each to its end.

    Runs that an earlier demo left open in the same store are seen to their ends as well.
    """
    # Under a name of its own, so that a database with real runs has none of them asked about here.
    api = Assistants(base_url=base_url, api_key="demo", name=SOURCE)
    async with Tracker(store, api, cadence=DEMO_CADENCE) as tracker:
        await _see_all_through(tracker, base_url, runs, threads, random.Random(seed), progress)
        await tracker.drain()


async def _see_all_through(
    tracker: Tracker,
    base_url: str,
    runs: int,
    threads: int,
    chance: random.Random,
    progress: DemoProgress,
) -> None:
    async with asyncio.TaskGroup() as group:
        left_open = [state.run_id for state in tracker.watching]
        progress.total += len(left_open)
        numbers = iter(range(runs))

        async def follow(run_id: str) -> None:
            try:
                outcome = await see_through(run_id)
            except NotFound:
                # An earlier demo's, whose service went away with it.
                outcome = "vanished"
            progress.outcomes[outcome] += 1
            progress.watching = Counter(seen.status or "new" for seen in tracker.watching)

        async def see_through(run_id: str) -> str:
            state = await tracker.wait(run_id, until="actionable")
            while not state.is_ended:
                progress.watching = Counter(seen.status or "new" for seen in tracker.watching)
                await _answer(tracker, state, chance)
                state = await tracker.wait(run_id, until="actionable")
            return state.status or ""

        async def work() -> None:
            thread = await asyncio.to_thread(_create_thread, base_url)
            for _ in numbers:
                run = await tracker.runs.create(
                    thread,
                    assistant_id=chance.choice(ASSISTANTS),
                    metadata={"customer": chance.choice(["ann", "bob", "cyd"])},
                )
                await follow(run.id)

        for run_id in left_open:
            group.create_task(follow(run_id))
        for _ in range(min(threads, runs)):
            group.create_task(work())


async def _answer(tracker: Tracker, state: RunState, chance: random.Random) -> None:
    """Does as a service with tools would: takes a moment and answers, or now and then forgets."""
    assert state.thread_id is not None
    if chance.random() < UNANSWERED:
        await tracker.wait(state.run_id)
        return
    await asyncio.sleep(chance.uniform(0.2, 1.2))
    outputs = [
        {"tool_call_id": call.id, "output": json.dumps({"ok": True})} for call in state.tool_calls
    ]
    try:
        await tracker.runs.submit_tool_outputs(state.thread_id, state.run_id, outputs)
    except RequestRefused:
        # It expired meanwhile, or a demo that was killed had answered: see where it stands.
        await tracker.runs.retrieve(state.thread_id, state.run_id)
    except NotFound:
        # What that means for the run is the poller's to find out and record.
        await tracker.wait(state.run_id)


def _create_thread(base_url: str) -> str:
    request = urllib.request.Request(
        f"{base_url.rstrip('/')}/threads",
        data=b"{}",
        headers={"Content-Type": "application/json", "Authorization": "Bearer demo"},
    )
    # Loopback is asked directly, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            thread: str = json.load(answer)["id"]
            return thread
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unreachable(
            f"no simulator made a thread at {base_url}: {error}; start one with `runfold simulate`"
        ) from None
