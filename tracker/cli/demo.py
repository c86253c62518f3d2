"""`runfold demo` and `runfold simulate`: the simulated service, with a tracker and without."""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import sys
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import Db, Since, Until
from tracker.errors import RunfoldError

if TYPE_CHECKING:
    from rich.text import Text

    from projections import Views

_EXAMPLE_QUERY = "SELECT model, outcome, count(*), sum(total_tokens) FROM runs GROUP BY 1, 2"


def demo(
    runs: Annotated[int, typer.Option(metavar="N", min=1, help="Number of runs.")] = 60,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Number of threads.")] = 20,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed; equal seeds give equal runs.", show_default="random"),
    ] = None,
    db: Db = "sqlite:///runfold-demo.db",
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            metavar="URL",
            help="A running simulator.",
            show_default="a new one",
        ),
    ] = None,
) -> None:
    """Track simulated runs to their ends, and show the tables.

    Starts a simulated service on loopback, creates runs on it over HTTP, answers their tool calls,
    and records everything in a real database.
    """
    from projections import Views
    from tracker.cli.demo_runs import DEMO_PARAMETERS
    from tracker.cli.tables import print_status, print_timing, print_usage
    from tracker.cli.terminal import silence_log, stdout_console
    from tracker.cli.views import apply_events
    from tracker.simulator import Simulator

    seed = random.randrange(10_000) if seed is None else seed
    out = stdout_console()
    started_at = monotonic()
    with Views(db) as views:
        views.prepare(create=True)
        apply_events(views, quiet=False)
        if not base_url:
            seed = _find_unused_seed(views, seed, threads)
            # Runs of an interrupted demo have lost their service: they are counted as vanished.
            silence_log()
        simulator = nullcontext() if base_url else Simulator(seed=seed, parameters=DEMO_PARAMETERS)
        with simulator as service:
            url = base_url or (service.base_url if service else "")
            out.print(f"{runs} runs on {threads} threads of the service at {url}, seed {seed}")
            asyncio.run(_run_with_display(db, url, runs=runs, threads=threads, seed=seed))
        apply_events(views, quiet=False)
        out.print(f"done in {monotonic() - started_at:.1f} s\n")
        print_status(views)
        print_timing(views)
        print_usage(views, by="model")
    out.print(f"The database is {_describe_database(db)}. Query it with SQL, for example:\n")
    out.print(f"  {_make_example(db)}")


def _find_unused_seed(views: Views, seed: int, threads: int) -> int:
    """Returns the first seed from `seed` on whose thread ids are not in the database."""
    from tracker.simulator import Simulator

    while True:
        simulator = Simulator(seed=seed)
        ids = [simulator.create_thread() for _ in range(min(threads, 100))]
        if not views.runs(thread_id=ids, limit=1):
            return seed
        seed += 1


async def _run_with_display(db: str, base_url: str, *, runs: int, threads: int, seed: int) -> None:
    """Runs the demo with a live display of its progress on stderr."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from tracker.cli.demo_runs import DemoProgress, run_demo
    from tracker.cli.terminal import stderr_console

    progress = DemoProgress(runs)
    bar = Progress(TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar_task = bar.add_task("", total=runs)
    demo_task = asyncio.create_task(
        run_demo(db, base_url, runs=runs, threads=threads, seed=seed, progress=progress)
    )
    err = stderr_console()
    live = Live(bar, console=err, refresh_per_second=10, transient=True)
    try:
        with live if err.is_terminal else nullcontext():
            while not demo_task.done():
                await asyncio.wait([demo_task], timeout=0.1)
                bar.update(bar_task, completed=progress.get_ended_count(), total=progress.total)
                live.update(
                    Group(
                        bar,
                        _make_line("now", progress.watching),
                        _make_line("ended", progress.outcomes),
                    )
                )
    except asyncio.CancelledError:
        # The tracker has to shut down while its event loop still runs.
        demo_task.cancel()
        await asyncio.wait([demo_task])
        raise
    try:
        await demo_task
    except BaseExceptionGroup as group:
        raise _find_cause(group) from None


def _find_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns the first RunfoldError of a group, or the group if it has none."""
    ours = group.subgroup(RunfoldError)
    error: BaseException = ours or group
    while ours and isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _make_line(title: str, counts: Counter[str]) -> Text:
    from rich.text import Text

    parts = "  ".join(f"{status} {number}" for status, number in sorted(counts.items()))
    return Text(f"{title:>6}  {parts}")


def _make_example(db: str) -> str:
    """Returns a shell command that queries the database with the current interpreter."""
    from sqlalchemy import make_url

    place = _describe_database(db)
    if make_url(db).get_backend_name() == "sqlite":
        connect = f"import sqlite3; [print(*row) for row in sqlite3.connect({place!r})"
    else:
        connect = f"import psycopg; [print(*row) for row in psycopg.connect({place!r})"
    code = f"{connect}.execute('{_EXAMPLE_QUERY}')]"
    can_quote = not set('"$`\\!') & set(code)
    return f"{_quote_interpreter()} -c " + (f'"{code}"' if can_quote else shlex.quote(code))


def _describe_database(db: str) -> str:
    """Returns the file of an SQLite database, or the URL of another one without its password."""
    from sqlalchemy import make_url

    url = make_url(db)
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    url = url.set(drivername="postgresql")
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    return url.render_as_string(hide_password=True)


def _quote_interpreter() -> str:
    folder = os.path.join(os.getcwd(), "")
    path = sys.executable.removeprefix(folder)
    return shlex.quote(path) if os.name == "posix" else f'"{path}"'


def simulate(
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 for any free one.")
    ] = 4010,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed; equal seeds give equal runs.", show_default="random"),
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="X", min=0.001, help="Speed of time; 2 is twice as fast.")
    ] = 1.0,
    replay: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Serve the runs that this database has, as of then."),
    ] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Serve simulated runs over HTTP until interrupted.

    The server supports the Assistants API and the Responses API in background mode, at /v1, with
    any API key. With `--replay` it shows recorded runs again, as their service showed them then.
    """
    from tracker.simulator import serve

    if replay is not None:
        _serve_replay(replay, since, until, speed=speed, host=host, port=port)
        return
    if since or until:
        raise typer.BadParameter("--since and --until choose the runs of --replay URL")

    # The seed determines all ids, so two simulators with one seed would collide in a database.
    seed = random.randrange(10_000) if seed is None else seed
    serve(
        host, port, seed, speed, announce=lambda url: typer.echo(f"serving at {url}, seed {seed}")
    )


def _serve_replay(
    url: str,
    since: datetime | None,
    until: datetime | None,
    *,
    speed: float,
    host: str,
    port: int,
) -> None:
    from tracker.event_store import open_event_store
    from tracker.simulator import Replay

    store = open_event_store(url, create=False)
    try:
        replay = Replay(store, since=since, until=until, speed=speed, host=host, port=port)
    finally:
        store.close()
    first, last = (datetime.fromtimestamp(it, UTC) for it in replay.period)
    minutes = (last - first).total_seconds() / speed / 60
    number = f"{len(replay.run_ids):,} runs on {len(replay.thread_ids):,} threads"

    def announce(base_url: str) -> None:
        typer.echo(
            f"serving at {base_url}: {number}, from {first:%Y-%m-%d %H:%M:%S} to "
            f"{last:%Y-%m-%d %H:%M:%S} UTC, which takes {minutes:,.1f} minutes"
        )

    replay.serve(announce)
