"""The commands that maintain the tables, and those that delete data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import DEFAULT_DB, Db, PriceSettings
from tracker.errors import SettingsError, UnknownRun

if TYPE_CHECKING:
    from projections.maintenance.verify import Difference

_NAMED_RUNS = 20
# The column of the checkpoints that says on which prices the costs depend.
_SETTINGS = "settings"
_PROJECTIONS = "runs, phases, actions, steps, usage, timing or costs"


def upgrade(db: Db = DEFAULT_DB) -> None:
    """Create the tables, or migrate them to this release."""
    from projections import Views

    with Views(db) as views:
        views.upgrade()
    typer.echo("the tables are up to date")


def catch_up(prices: PriceSettings = None, db: Db = DEFAULT_DB) -> None:
    """Apply all new events to the tables."""
    from tracker.cli.views import catch_up_with_bar, open_views

    with open_views(db, prices) as views:
        count = catch_up_with_bar(views)
    typer.echo(f"{count} events applied")


def follow(
    every: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.01, help="Interval of checks for Ctrl-C."),
    ] = 0.5,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Apply new events to the tables as they arrive, until interrupted."""
    from threading import Event

    from tracker.cli.views import open_views, position_bar

    with open_views(db, prices) as views, position_bar("catching up") as show_position:
        typer.echo("following; stop with Ctrl-C", err=True)
        views.follow(Event(), every=every, progress=show_position)


def rebuild(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help=f"Tables to rebuild: {_PROJECTIONS}.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Rebuild all tables.")] = False,
    reprice: Annotated[
        bool,
        typer.Option("--reprice", help="Price the database with these prices from now on."),
    ] = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Rebuild tables from the events.

    The old tables stay readable until the new ones are complete.
    """
    from tracker.cli.views import open_views, position_bar

    if bool(names) == all_:
        raise SettingsError(f"name the tables to rebuild ({_PROJECTIONS}), or pass --all")
    with open_views(db, prices) as views, position_bar("replaying") as show_position:
        position = views.rebuild(*names or (), reprice=reprice, progress=show_position)
    typer.echo(f"rebuilt from all events up to position {position}")


def verify(prices: PriceSettings = None, db: Db = DEFAULT_DB) -> None:
    """Compare the tables with the events, row by row.

    The exit code is 1 if they differ.
    """
    from tracker.cli.views import open_current_views, position_bar

    with (
        open_current_views(db, prices, quiet=True) as views,
        position_bar("replaying") as show_position,
    ):
        differences = views.verify(show_position)
    _print_differences(differences)
    if any(it.column == _SETTINGS for it in differences):
        typer.echo("cure: pass the same --prices, or runfold rebuild costs --reprice", err=True)
    if any(it.column != _SETTINGS for it in differences):
        typer.echo("cure: runfold rebuild --all", err=True)
    if differences:
        raise typer.Exit(1)
    typer.echo("the tables match the events")


def retry(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id of the run.", show_default="all")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Only runs of this source.")
    ] = None,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Try again the runs that are set aside.

    The exit code is 1 if some of them fail again.
    """
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=True) as views:
        retried = views.retry(run, source)
    typer.echo(
        f"{retried.completed:,} runs are complete in the tables, "
        f"{len(retried.set_aside):,} stay set aside"
    )
    for it in retried.set_aside[:_NAMED_RUNS]:
        _print_line(f"{it.run_key}: {it.reason}; cure: {it.cure}")
    if retried.set_aside:
        raise typer.Exit(1)


def prune(
    days: Annotated[
        float,
        typer.Option(
            metavar="DAYS", min=0, help="Delete runs that ended more than this many days ago."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the runs.")] = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Delete old runs from the tables.

    Their events stay, and totals still include them.
    """
    from tracker.cli.views import open_current_views

    try:
        age = timedelta(days=days)
    except (OverflowError, ValueError):
        raise SettingsError(f"{days:g} days are no time to count back: pass fewer days") from None
    with open_current_views(db, prices, quiet=True) as views:
        pruned = views.prune(age, dry_run=dry_run)
    verb = "would be deleted" if dry_run else "deleted"
    typer.echo(
        f"{pruned.runs:,} runs {verb} from the tables, with {pruned.phases:,} phases, "
        f"{pruned.actions:,} actions and {pruned.steps:,} steps"
    )


def forget(
    thread: Annotated[
        str | None, typer.Argument(metavar="THREAD", help="Id of the thread.", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Forget this run instead.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Only runs of this source.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also delete runs that have not ended.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm. This cannot be undone.")] = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Delete all events and rows of a thread, or of one run.

    Totals still include its runs until `runfold rebuild --all`. The exit code is 1 if nothing is
    recorded of it.
    """
    from tracker.cli.views import open_current_views
    from tracker.event_store import open_event_store
    from tracker.forgetting import forget_run, forget_thread

    if (thread is None) == (run is None):
        raise SettingsError("name a THREAD, or a run with --run RUN")
    if not yes:
        described = f"the runs of {thread}" if run is None else run
        raise SettingsError(f"deleting {described} cannot be undone: pass --yes")
    removed = 0

    # Caught up first, so that no follower writes rows from events that it read before.
    with open_current_views(db, prices, quiet=True) as views:

        def remove(streams: Sequence[str]) -> None:
            nonlocal removed
            removed += views.remove_runs(streams).runs

        store = open_event_store(db, create=False)
        try:
            if run is not None:
                forgotten = forget_run(store, run, source, force=force, on_forgotten=remove)
            elif thread is not None:
                forgotten = forget_thread(store, thread, source, force=force, on_forgotten=remove)
                # Rows that a kill right after the deletion of the events left.
                removed += views.remove_thread(thread, source).runs
        finally:
            store.close()
    if thread is not None and not (forgotten.runs or removed):
        of_source = "" if source is None else f" from the source {source!r}"
        raise UnknownRun(
            f"no run on the thread {thread} is recorded{of_source}: check the id and the database"
        )
    typer.echo(
        f"deleted {forgotten.runs:,} runs with {forgotten.events:,} events, "
        f"{removed:,} of them in the tables"
    )
    if forgotten.runs:
        typer.echo(
            "totals of usage and times still include them: until `runfold rebuild --all`, "
            "`runfold verify` reports a difference",
            err=True,
        )


def _print_differences(differences: Sequence[Difference]) -> None:
    for it in differences:
        key = ", ".join(map(str, it.key))
        if it.column == _SETTINGS:
            problem = f"{it.column} are {it.found}, those of this process are {it.expected}"
        elif it.column is not None:
            problem = f"{it.column} is {it.found!r}, the events say {it.expected!r}"
        else:
            problem = "is in the table only" if it.expected is None else "is missing"
        _print_line(f"{it.table} ({key}): {problem}")


def _print_line(line: str) -> None:
    from rich.text import Text

    from tracker.cli.terminal import escape_controls, stdout_console

    stdout_console().print(Text(escape_controls(line)))
