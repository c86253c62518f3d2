"""The commands that look after a database: what ails it, and what it is to keep no longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from tracker.cli.options import DEFAULT_DB, Db, Json
from tracker.errors import SettingsError


def doctor(json: Json = False, db: Db = DEFAULT_DB) -> None:
    """How the tables are, and the services that trackers poll: what is the matter, what helps."""
    from projections import Views
    from tracker.cli.doctor import is_healthy, print_diagnosis
    from tracker.event_store import open_event_store
    from tracker.heartbeats.table import heartbeats_in

    with Views(db) as views:
        diagnosis = views.doctor()
    store = open_event_store(db, create=False)
    try:
        heartbeats = heartbeats_in(store)
    finally:
        store.close()
    print_diagnosis(diagnosis, heartbeats, json=json)
    raise typer.Exit(0 if is_healthy(diagnosis, heartbeats) else 1)


def prune(
    days: Annotated[
        float, typer.Option(min=0, help="Runs that ended more than so many days ago go.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Take old runs out of the tables; their events and the sums of all runs stay."""
    from tracker.cli.tables import opened

    with opened(db, quiet=True) as views:
        pruned = views.prune(timedelta(days=days), dry_run=dry_run)
    said = "would go" if dry_run else "are gone"
    typer.echo(
        f"{pruned.runs:,} runs {said} from the tables, with {pruned.phases:,} phases, "
        f"{pruned.actions:,} actions and {pruned.steps:,} steps"
    )


def forget(
    thread: Annotated[str, typer.Argument(metavar="THREAD", help="The id of the thread.")],
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Of this source only.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also runs that have not ended.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Needed: nothing brings it back.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Delete all that was recorded of a thread: events, and rows. Sums keep its numbers."""
    from tracker.cli.tables import opened
    from tracker.event_store import open_event_store
    from tracker.forgetting import forget_thread

    if not yes:
        raise SettingsError(f"nothing brings the runs of {thread} back: say --yes")
    # Caught up, so that no follower is about to write what it read of them before.
    with opened(db, quiet=True) as views:
        store = open_event_store(db, create=False)
        try:
            forgotten = forget_thread(store, thread, source, force=force)
        finally:
            store.close()
        removed = views.remove_thread(thread, source)
    typer.echo(
        f"forgotten: {forgotten.runs:,} runs with {forgotten.events:,} events, "
        f"{removed.runs:,} of them in the tables"
    )
    if forgotten.runs:
        typer.echo(
            "the sums of usage and times count them until `runfold rebuild --all`; "
            "`runfold verify` says so until then",
            err=True,
        )
