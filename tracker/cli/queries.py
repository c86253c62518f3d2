"""The commands that query the tables."""

from __future__ import annotations

from typing import Annotated

import typer

from tracker.cli.options import (
    BY_HELP,
    DEFAULT_DB,
    Db,
    Json,
    PriceSettings,
    Since,
    Tz,
    Until,
)


def status(
    by: Annotated[str | None, typer.Option(metavar="NAMES", help=BY_HELP)] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Count runs by status."""
    from tracker.cli.tables import print_status
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=json) as views:
        print_status(views, by=by, tz=tz, since=since, until=until, json=json)


def timing(
    by: Annotated[str | None, typer.Option(metavar="NAMES", help=BY_HELP)] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show how long runs queued, ran, waited and took in total.

    The bounds in brackets hold for all runs, also for those whose durations are unknown.
    """
    from tracker.cli.tables import print_timing
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=json) as views:
        print_timing(views, by=by, tz=tz, since=since, until=until, json=json)


def usage(
    by: Annotated[str, typer.Option(metavar="NAMES", help=BY_HELP)] = "model",
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="ID", help="Only this session or thread, by parts."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Source of the session, if several have it."),
    ] = None,
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show the tokens that ended runs used.

    The tokens of runs that have not ended are said on stderr. With --session, the service's own
    count of all of a session stands beside those of its turns and of its sub-agents, open ones
    included, and beside the difference.
    """
    from tracker.cli.tables import print_open_usage, print_session_usage, print_usage
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=json) as views:
        if session is not None:
            print_session_usage(views, session, source, json=json)
            return
        print_usage(views, by=by, tz=tz, since=since, until=until, json=json)
        print_open_usage(views, since=since, until=until)


def cost(
    by: Annotated[str, typer.Option(metavar="NAMES", help=BY_HELP)] = "model",
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    unpriced: Annotated[
        bool, typer.Option("--unpriced", help="List only the models and tiers without a price.")
    ] = False,
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show the cost of ended runs in US dollars.

    The tokens of runs that have not ended are said on stderr. Prices are those of the date of each
    run. Needs `pip install 'runfold[cost]'`.

    Pass --prices for names of deployments, a provider, or factors of service tiers, such as
    `{"models": {"our-gpt": "gpt-4o"}, "provider": "azure", "tiers": {"flex": 0.5}}`. The database
    keeps them: all commands and processes that apply costs need the same.
    """
    from tracker.cli.tables import print_cost, print_models_without_price, print_open_usage
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=json, needs_costs=True) as views:
        if not unpriced:
            print_cost(views, by=by, tz=tz, since=since, until=until, json=json)
            print_open_usage(views, since=since, until=until)
        if unpriced or (not json and views.unpriced()):
            print_models_without_price(views, json=json)


def actions(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Only this run.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="NAME", help="Source of the run, if several have this id."
        ),
    ] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only calls that still wait for an output.")
    ] = False,
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """List the tool calls that runs waited for."""
    from tracker.cli.tables import print_actions
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=json) as views:
        print_actions(views, run, source, waiting=waiting, json=json)


def stuck(
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="List at most this many runs.")
    ] = None,
    json: Json = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """List runs that should have ended, oldest first.

    These are past their expiry, or open far longer than is usual.
    """
    from tracker.cli.tables import print_stuck
    from tracker.cli.views import open_current_views

    with open_current_views(db, prices, quiet=json) as views:
        print_stuck(views, limit=limit, json=json)
