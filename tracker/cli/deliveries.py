"""`runfold deliveries`: how far handlers are, and parked runs to be delivered again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.options import DEFAULT_DB, Db, Json, Tz
from tracker.errors import SettingsError, UnknownRun

if TYPE_CHECKING:
    from tracker.delivery.ledger import Standing
    from tracker.event_store import EventStore


def deliveries(
    action: Annotated[
        str | None, typer.Argument(metavar="retry", help="Deliver parked runs again.")
    ] = None,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id of the run.", show_default="all")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Only handlers of this name.")
    ] = None,
    tz: Tz = "UTC",
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Show how far handlers are, and the runs that they failed with.

    With `retry`, parked runs are delivered again, all or one. Exit code 1 if RUN is not parked.
    """
    from tracker.event_store import open_event_store

    if action not in (None, "retry"):
        raise SettingsError(f"{action!r} is nothing to do with deliveries: say retry, or nothing")
    store = open_event_store(db, create=False)
    try:
        if action == "retry":
            _retry(store, run, name)
        else:
            _show(store, name, tz=tz, json=json)
    finally:
        store.close()


def list_failing(standings: dict[str, Standing]) -> list[dict[str, Any]]:
    """Returns the runs that handlers failed with, parked ones first, as rows to print."""
    from datetime import UTC, datetime

    return [
        {
            "name": name,
            "run_key": it.stream,
            "state": "parked" if it.is_parked else "failing",
            "position": it.position,
            "attempts": it.attempts,
            "failing_since": datetime.fromtimestamp(it.failing_since, UTC),
            "error": it.error or "",
        }
        for name, standing in standings.items()
        for it in standing.runs
        if it.failing_since is not None
    ]


def _retry(store: EventStore, run: str | None, name: str | None) -> None:
    from tracker.delivery.ledger import find_ledger

    ledger = find_ledger(store)
    streams: Sequence[str] | None = None
    if run is not None:
        parked = [] if ledger is None else ledger.list_parked()
        streams = [it for it in parked if run in (it, it.partition(":")[2])]
        if not streams:
            raise UnknownRun(f"{run} is not parked: see `runfold deliveries`")
    number = 0 if ledger is None else ledger.retry(name, streams)
    typer.echo(f"{number:,} runs are delivered again by the next tracker that has their handlers")


def _show(store: EventStore, name: str | None, *, tz: str, json: bool) -> None:
    from projections.queries.grouping import in_zone, time_zone
    from tracker.cli.tables import print_json, print_rows
    from tracker.delivery.ledger import find_ledger

    ledger = find_ledger(store)
    standings = {} if ledger is None else ledger.read_all()
    standings = {it: standing for it, standing in standings.items() if name in (None, it)}
    last, failing = store.last_position(), list_failing(standings)
    rows = [
        {
            "name": it,
            "position": standing.position,
            "behind": max(last - standing.position, 0),
            "failing": sum(row["name"] == it and row["state"] == "failing" for row in failing),
            "parked": sum(row["name"] == it and row["state"] == "parked" for row in failing),
        }
        for it, standing in standings.items()
    ]
    if json:
        print_json({"handlers": rows, "runs": failing})
        return
    print_rows("handlers", rows)
    if failing:
        zone = time_zone(tz)
        shown = [{**it, "failing_since": in_zone(it["failing_since"], zone)} for it in failing]
        print_rows("runs that handlers failed with", shown)
