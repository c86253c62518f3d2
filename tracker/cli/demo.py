"""`runfold demo` and `runfold simulate`: the simulated service, with a tracker and without."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import shlex
import shutil
import sys
from collections import Counter
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.exit_codes import INTERRUPTED
from tracker.cli.options import Db, Since, Until
from tracker.errors import RunfoldError

if TYPE_CHECKING:
    from rich.text import Text

    from projections import Views

# Not the source of the live runs, whose open runs are polled at the simulator.
_WEEK_SOURCE = "week"
# The thread of the README.
_THREAD = "thread_1"


def demo(
    runs: Annotated[int, typer.Option(metavar="N", min=1, help="Number of live runs.")] = 20,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Number of threads.")] = 20,
    week: Annotated[
        int, typer.Option(metavar="N", min=0, help="Number of generated runs of the last week.")
    ] = 2_000,
    pace: Annotated[
        float,
        typer.Option(metavar="X", min=0.05, help="Pace of the live runs; 2 is twice as fast."),
    ] = 1.0,
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
    """Fill a database with a generated week and live simulated runs, and show the tables.

    Starts a simulated service on loopback, creates runs on it over HTTP, answers their tool calls,
    follows them to their ends, and records everything in a real database. Writes a report of the
    runs to runfold-report.html in the current folder.
    """
    from projections import Views
    from tracker.cli.terminal import silence_log, stdout_console
    from tracker.cli.trial.live_runs import DEMO_PARAMETERS
    from tracker.cli.views import apply_events
    from tracker.simulator import Simulator

    seed = random.randrange(10_000) if seed is None else seed
    out = stdout_console()
    with Views(db) as views:
        views.prepare(create=True)
        apply_events(views, quiet=False)
        if week:
            _add_week(db, views, week, seed)
        started_at = monotonic()
        if not base_url:
            seed = _find_unused_seed(views, seed, threads)
            # Runs of an interrupted demo have lost their service: they are counted as vanished.
            silence_log()
        parameters = replace(
            DEMO_PARAMETERS,
            time_scale=DEMO_PARAMETERS.time_scale / pace,
            expires_after=DEMO_PARAMETERS.expires_after / pace,
        )
        simulator = nullcontext() if base_url else Simulator(seed=seed, parameters=parameters)
        with simulator as service:
            url = base_url or (service.base_url if service else "")
            out.print(f"{runs} live runs on {threads} threads at {url}, seed {seed}")
            asyncio.run(_run_with_display(db, url, runs=runs, threads=threads, seed=seed))
        apply_events(views, quiet=False)
        out.print(f"The live runs took {monotonic() - started_at:.0f} s.\n")
        _print_answers(views)
        _write_report(views)
        _print_commands(db, views)


def _add_week(db: str, views: Views, runs: int, seed: int) -> None:
    """Records a generated week that ends now, unless the database has one."""
    from rich.progress import BarColumn

    from tracker.cli.terminal import progress_bar, stdout_console
    from tracker.cli.trial.week import Week
    from tracker.event_store import open_event_store

    if views.runs(source=_WEEK_SOURCE, limit=1):
        return
    started_at = monotonic()
    week = Week(datetime.now(UTC), random.Random(seed), source=_WEEK_SOURCE)
    appends = week.make_appends(week.make_runs(runs))
    with (
        closing(open_event_store(db)) as store,
        progress_bar("a week of runs", BarColumn()) as progress,
    ):
        progress.start()
        for batch in progress.track([appends[at : at + 250] for at in range(0, len(appends), 250)]):
            store.append(batch)
        events = views.catch_up()
    stdout_console().print(
        f"A generated week: {len(appends):,} runs, {events:,} events "
        f"in {monotonic() - started_at:.1f} s"
    )


def _print_answers(views: Views) -> None:
    from tracker.cli.tables import (
        print_actions,
        print_cost,
        print_status,
        print_stuck,
        print_timing,
        print_usage,
    )

    print_status(views)
    print_timing(views)
    print_usage(views, by="model")
    if importlib.util.find_spec("genai_prices"):
        print_cost(views, by="model")
    print_actions(views, None, None, waiting=True)
    print_stuck(views, limit=5)


def _write_report(views: Views) -> None:
    """Writes the report of the runs and says where it is, or how to get one."""
    from tracker.cli.dashboard.report import DEFAULT_FILE, require_dashboard, write_report
    from tracker.cli.terminal import stdout_console

    out = stdout_console()
    try:
        require_dashboard()
        write_report(views, DEFAULT_FILE)
    except (RunfoldError, OSError) as error:
        # Everything else that the demo shows is there without it.
        out.print(f"There is no report: {error}\n", markup=False)
        return
    path = os.path.abspath(DEFAULT_FILE)
    out.print(f"The report is {path}. Open it in a browser.\n", markup=False, soft_wrap=True)


def _print_commands(db: str, views: Views) -> None:
    """Prints commands that work as they stand in the current folder."""
    from tracker.cli.terminal import stdout_console

    out = stdout_console()
    program = quote_program()
    option = "" if os.environ.get("RUNFOLD_DB") == db else f" --db {_describe_database(db)}"
    out.print("Everything is in the database. Ask it more, for example:\n")
    for command in (
        "runs --order dearest --limit 5",
        f"history {_choose_run(views)}",
        "cost --by assistant_id",
        "serve",
    ):
        out.print(f"  {program} {command}{option}")


def _choose_run(views: Views) -> str:
    """Returns the id of a live run with many phases."""
    from tracker.cli.trial.live_runs import LIVE_SOURCE

    runs = views.runs(source=LIVE_SOURCE, limit=20)
    return max(runs, key=lambda it: len(views.phases(it.run_id, it.source))).run_id


def quote_program() -> str:
    """Returns the shell command that started this program, as it works in the current folder."""
    started = sys.argv[0]
    if os.path.basename(started).removesuffix(".exe") != "runfold":
        return f"{_quote_path(sys.executable)} -m tracker.cli"
    found = shutil.which("runfold")
    is_found = found is not None and os.path.realpath(found) == os.path.realpath(started)
    return "runfold" if is_found else _quote_path(os.path.abspath(started))


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

    from tracker.cli.terminal import stderr_console
    from tracker.cli.trial.live_runs import DemoProgress, run_demo

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


def _describe_database(db: str) -> str:
    """Returns the URL of a database for a shell, without its password."""
    from sqlalchemy import make_url

    url = make_url(db)
    if url.password is None and "password" not in url.query:
        return shlex.quote(db)
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    return shlex.quote(url.render_as_string(hide_password=True))


def _quote_path(path: str) -> str:
    path = path.removeprefix(os.path.join(os.getcwd(), ""))
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
    from tracker.simulator import Simulator

    if replay is not None:
        _serve_replay(replay, since, until, speed=speed, host=host, port=port)
        return
    if since or until:
        raise typer.BadParameter("--since and --until choose the runs of --replay URL")

    # The seed determines all ids, so two simulators with one seed would collide in a database.
    seed = random.randrange(10_000) if seed is None else seed
    simulator = Simulator(host=host, port=port, seed=seed, speed=speed)
    simulator.create_thread(_THREAD)

    def announce(url: str) -> None:
        typer.echo(f"serving at {url}, seed {seed}")
        typer.echo(f"It has the thread {_THREAD}. This makes another one:\n")
        typer.echo(f"  curl -X POST {url}/threads\n")
        typer.echo("Ctrl-C ends it.")

    simulator.serve(announce)
    raise typer.Exit(INTERRUPTED)


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
    raise typer.Exit(INTERRUPTED)
