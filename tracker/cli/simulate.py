"""`runfold simulate`: the simulated service as a server."""

from __future__ import annotations

import random
from typing import Annotated

import typer


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
) -> None:
    """Serve simulated runs over HTTP until interrupted.

    The server supports the Assistants API and the Responses API in background mode, at /v1, with
    any API key.
    """
    from tracker.simulator import serve

    # The seed determines all ids, so two simulators with one seed would collide in a database.
    seed = random.randrange(10_000) if seed is None else seed
    serve(
        host, port, seed, speed, announce=lambda url: typer.echo(f"serving at {url}, seed {seed}")
    )
