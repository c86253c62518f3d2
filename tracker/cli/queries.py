"""The commands that query the tables."""

from __future__ import annotations

from typing import Annotated

import typer

from tracker.cli.options import (
    BY_HELP,
    DEFAULT_DB,
    Csv,
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
    csv: Csv = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Count runs by status."""
    from tracker.cli.tables import Form, choose_form, print_status
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    with open_current_views(db, prices, quiet=form is not Form.TABLE) as views:
        print_status(views, by=by, tz=tz, since=since, until=until, form=form)


def timing(
    by: Annotated[str | None, typer.Option(metavar="NAMES", help=BY_HELP)] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    json: Json = False,
    csv: Csv = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show how long runs queued, ran, waited and took in total.

    The bounds in brackets hold for all runs, also for those whose durations are unknown.
    """
    from tracker.cli.tables import Form, choose_form, print_timing
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    with open_current_views(db, prices, quiet=form is not Form.TABLE) as views:
        print_timing(views, by=by, tz=tz, since=since, until=until, form=form)


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
    csv: Csv = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show the tokens that ended runs used.

    The tokens of runs that have not ended are said on stderr. With --session, the service's own
    count of all of a session stands beside those of its turns and of its sub-agents, open ones
    included, and beside the difference.
    """
    from tracker.cli.tables import (
        Form,
        choose_form,
        print_open_usage,
        print_session_usage,
        print_usage,
    )
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    with open_current_views(db, prices, quiet=form is not Form.TABLE) as views:
        if session is not None:
            print_session_usage(views, session, source, form=form)
            return
        print_usage(views, by=by, tz=tz, since=since, until=until, form=form)
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
    csv: Csv = False,
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
    from tracker.cli.tables import (
        Form,
        choose_form,
        print_cost,
        print_models_without_price,
        print_open_usage,
    )
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    with open_current_views(db, prices, quiet=form is not Form.TABLE, needs_costs=True) as views:
        if not unpriced:
            print_cost(views, by=by, tz=tz, since=since, until=until, form=form)
            print_open_usage(views, since=since, until=until)
        if unpriced or (form is Form.TABLE and views.unpriced()):
            print_models_without_price(views, form=form)


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
    tz: Tz = "UTC",
    json: Json = False,
    csv: Csv = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """List the tool calls that runs waited for."""
    from tracker.cli.tables import Form, choose_form, print_actions
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    with open_current_views(db, prices, quiet=form is not Form.TABLE) as views:
        print_actions(views, run, source, waiting=waiting, tz=tz, form=form)


def stuck(
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="List at most this many runs.")
    ] = None,
    json: Json = False,
    csv: Csv = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """List runs that should have ended, oldest first.

    These are past their expiry, or open far longer than is usual.
    """
    from tracker.cli.tables import Form, choose_form, print_stuck
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    with open_current_views(db, prices, quiet=form is not Form.TABLE) as views:
        print_stuck(views, limit=limit, form=form)


_RUN_COLUMNS = (
    *("run_id", "created_at", "status", "error_code", "assistant_id", "model"),
    *("total_seconds", "total_tokens", "total_dollars"),
)

# Left out first where there is no room.
_LEAST = ("error_code", "model", "assistant_id")

_Values = list[str] | None


def runs(
    status: Annotated[_Values, typer.Option(metavar="STATUS", help="Only in this status.")] = None,
    outcome: Annotated[_Values, typer.Option(metavar="STATUS", help="Only ended so.")] = None,
    source: Annotated[_Values, typer.Option(metavar="NAME", help="Only of this source.")] = None,
    assistant: Annotated[
        _Values, typer.Option(metavar="ID", help="Only of this assistant.")
    ] = None,
    model: Annotated[_Values, typer.Option(metavar="NAME", help="Only of this model.")] = None,
    thread: Annotated[_Values, typer.Option(metavar="ID", help="Only of this thread.")] = None,
    metadata: Annotated[
        _Values, typer.Option(metavar="KEY=VALUE", help="Only with this in the metadata.")
    ] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    order: Annotated[
        str,
        typer.Option(metavar="ORDER", help="newest, oldest, slowest, dearest or most_tokens."),
    ] = "newest",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many runs.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Continue after an earlier page.")
    ] = None,
    json: Json = False,
    csv: Csv = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """List runs, the newest first.

    A filter may be given several times: one of its values has to match. The command that lists the
    runs that follow is said on stderr.
    """
    from projections.queries.grouping import in_zone, time_zone
    from tracker.cli.tables import Form, choose_form, print_csv, print_json, print_rows
    from tracker.cli.terminal import stderr_console
    from tracker.cli.views import open_current_views

    form = choose_form(json=json, csv=csv)
    zone = time_zone(tz)
    with open_current_views(db, prices, quiet=form is not Form.TABLE) as views:
        page = views.runs(
            status=status,
            outcome=outcome,
            source=source,
            assistant_id=assistant,
            model=model,
            thread_id=thread,
            metadata=_read_pairs(metadata),
            since=since,
            until=until,
            order=order,  # type: ignore[arg-type]
            limit=limit,
            cursor=cursor,
        )
    if form is Form.JSON:
        print_json(page.records())
    elif form is Form.CSV:
        print_csv(page.records())
    else:
        rows = [{name: getattr(row, name) for name in _RUN_COLUMNS} for row in page]
        for row in rows:
            row["created_at"] = in_zone(row["created_at"], zone)
        # Columns that say nothing of these runs leave room for the others.
        used = [name for name in _RUN_COLUMNS if any(row[name] is not None for row in rows)]
        print_rows("runs", [{name: row[name] for name in used} for row in rows], _LEAST)
    if page.next_cursor is not None:
        note = f"{page.note}; " if page.note else ""
        stderr_console().print(f"{note}more: add --cursor {page.next_cursor}")


def _read_pairs(given: list[str] | None) -> dict[str, str] | None:
    """Returns the keys and values of texts like `customer=ann`. Raises BadParameter."""
    if not given:
        return None
    for text in given:
        if "=" not in text:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--metadata")
    return dict(text.split("=", 1) for text in given)
