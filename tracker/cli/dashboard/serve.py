"""`runfold serve`: the dashboard as a local server."""

from __future__ import annotations

from typing import Annotated

import typer

from tracker.cli.options import DEFAULT_DB, Db, PriceSettings, Tz


def serve(
    host: Annotated[
        str, typer.Option(metavar="NAME", help="Address to listen at; another needs --token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 for any free one.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="RUNFOLD_TOKEN",
            help="Token that visitors need.",
            show_default="a new one",
        ),
    ] = None,
    tz: Tz = "UTC",
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show the runs in a browser, from a server on this machine.

    Prints the URL to open, which has a token. It only reads: `runfold follow` keeps the tables up
    to date beside it. Needs `pip install 'runfold[dashboard]'`.
    """
    from importlib.util import find_spec

    from tracker.cli.dashboard.report import require_dashboard
    from tracker.cli.views import open_views
    from tracker.errors import SettingsError

    require_dashboard()
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise SettingsError('the server needs its libraries: pip install "runfold[dashboard]"')
    from projections import dashboard
    from projections.web.serving import LOOPBACK, TokenGuard, listen, make_token, run_server

    if host not in LOOPBACK and not token:
        raise SettingsError(
            f"at {host} others can reach it: choose a token with --token or RUNFOLD_TOKEN"
        )
    secret = token or make_token()
    with open_views(db, prices) as views, listen(host, port) as listener:
        port = listener.getsockname()[1]
        app = dashboard(views, tz=tz, sources=lambda: read_sources(db))
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"Open http://{shown}:{port}/?token={secret}")
        typer.echo("Ctrl-C ends it.", err=True)
        run_server(TokenGuard(app, secret, host), listener)


def read_sources(db: str) -> list[object]:
    """Returns what the trackers report of themselves."""
    from tracker.event_store import open_event_store
    from tracker.heartbeats.table import heartbeats_in

    store = open_event_store(db, create=False)
    try:
        return list(heartbeats_in(store))
    finally:
        store.close()
