"""`runfold backfill`: records the existing runs of threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.apis import ApiKey, ApiOption, ApiVersion, BaseUrl, SourceName, make_source
from tracker.cli.options import DEFAULT_DB, Db, PriceSettings
from tracker.sources.payload_format import Api

if TYPE_CHECKING:
    from tracker.ingest.backfill import Backfilled
    from tracker.sources import Source


def backfill(
    threads: Annotated[
        list[str], typer.Argument(metavar="THREAD", help="Ids of threads or sessions.")
    ],
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    no_steps: Annotated[
        bool, typer.Option("--no-steps", help="Do not record the steps of the runs.")
    ] = False,
    api: ApiOption = Api.assistants,
    source: SourceName = None,
    api_version: ApiVersion = None,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Record all existing runs of threads, with their steps.

    Open runs are recorded as they are now, without steps, and not watched. After an interruption,
    run it again: recorded steps are not requested again.

    The API key is read from OPENAI_API_KEY, for LangGraph from LANGSMITH_API_KEY.
    """
    service = make_source(api, base_url, api_key, source, api_version)
    is_complete = _backfill_threads(db, threads, service, steps=not no_steps, prices=prices)
    raise typer.Exit(0 if is_complete else 1)


def _backfill_threads(
    db: str, threads: Iterable[str], service: Source, *, steps: bool, prices: str | None
) -> bool:
    """Records the runs of threads one after the other. Returns False if some are missing.

    What was recorded before an error is kept, also in the tables.
    """
    from projections import Views
    from tracker.cli.views import apply_events, read_prices

    with Views(db, prices=read_prices(prices)) as views:
        views.prepare(create=True)
        try:
            return asyncio.run(_record(db, threads, service, steps))
        finally:
            apply_events(views)


async def _record(db: str, threads: Iterable[str], service: Source, steps: bool) -> bool:
    from tracker import Tracker
    from tracker.cli.terminal import spinner

    failed = 0
    # Other open runs of the database may belong to another service, so they are not resumed.
    async with Tracker(db, service, resume=False) as tracker:
        for thread in threads:
            with spinner(thread):
                result = await tracker.backfill(thread, steps=steps, watch=False)
            _print_result(thread, result)
            failed += result.failed
    return failed == 0


def _print_result(thread: str, result: Backfilled) -> None:
    from tracker.cli.terminal import escape_controls, stderr_console, stdout_console

    summary = f"{result.runs:,} runs, {result.events:,} new events ({result.steps:,} steps)"
    stdout_console().print(escape_controls(f"{thread}: {summary}"))
    if result.failed:
        warning = f"{thread}: {result.failed:,} runs are not recorded, or without their steps"
        stderr_console().print(escape_controls(warning))
