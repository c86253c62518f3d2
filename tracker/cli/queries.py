"""The commands that ask the tables: each opens them, asks once, and prints."""

from __future__ import annotations

from typing import Annotated

import typer

from tracker.cli.options import BY, DEFAULT_DB, Db, Json, Since, Tz, Until


def status(
    by: Annotated[str | None, typer.Option(help=f"{BY}.")] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """How many runs are in each status."""
    from tracker.cli.tables import opened, print_status

    with opened(db, quiet=json) as views:
        print_status(views, by=by, tz=tz, since=since, until=until, json=json)


def timing(
    by: Annotated[str | None, typer.Option(help=f"{BY}.")] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """How long runs queued, ran, waited for action, and took in total."""
    from tracker.cli.tables import opened, print_timing

    with opened(db, quiet=json) as views:
        print_timing(views, by=by, tz=tz, since=since, until=until, json=json)


def usage(
    by: Annotated[str, typer.Option(help=f"{BY}.")] = "model",
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """The tokens that runs used."""
    from tracker.cli.tables import opened, print_usage

    with opened(db, quiet=json) as views:
        print_usage(views, by=by, tz=tz, since=since, until=until, json=json)


def cost(
    by: Annotated[str, typer.Option(help=f"{BY}.")] = "model",
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    unpriced: Annotated[
        bool, typer.Option("--unpriced", help="Only the models that have no price.")
    ] = False,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """What runs cost, in US dollars, at the prices of their time; needs the extra `cost`."""
    from tracker.cli.tables import opened, print_cost, print_unpriced

    with opened(db, quiet=json) as views:
        if not unpriced:
            print_cost(views, by=by, tz=tz, since=since, until=until, json=json)
        if unpriced or (not json and views.unpriced()):
            print_unpriced(views, json=json)


def actions(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Of this run only.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what still waits.")] = False,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """What runs waited for us to do, call by call."""
    from tracker.cli.tables import opened, print_actions

    with opened(db, quiet=json) as views:
        print_actions(views, run, waiting=waiting, json=json)


def stuck(
    limit: Annotated[int | None, typer.Option(min=0, help="So many at most.")] = None,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Runs past their expiry without an end, or open far longer than usual; the oldest first."""
    from tracker.cli.tables import opened, print_stuck

    with opened(db, quiet=json) as views:
        print_stuck(views, limit=limit, json=json)
