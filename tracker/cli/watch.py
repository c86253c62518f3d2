"""`runfold watch`: polls one run until it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.apis import ApiKey, ApiOption, ApiVersion, BaseUrl, SourceName, make_source
from tracker.cli.options import DEFAULT_DB, Db, PriceSettings, Tz
from tracker.sources.payload_format import Api

if TYPE_CHECKING:
    from tracker import Tracker
    from tracker.cli.terminal import SetStatus
    from tracker.core.state import RunState
    from tracker.sources import Source

_TIMEOUT_SECONDS = 3600.0
_LOOK_SECONDS = 0.2


def watch(
    thread: Annotated[
        str,
        typer.Argument(metavar="THREAD", help="Id of the thread or session; - if it has none."),
    ],
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Stop after this time.")
    ] = _TIMEOUT_SECONDS,
    api: ApiOption = Api.assistants,
    source: SourceName = None,
    api_version: ApiVersion = None,
    tz: Tz = "UTC",
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Watch a run until it ends, then show its history.

    Without a terminal, each change and each trouble is a line on stderr. The exit code is 0 if the
    run completed, else 1. The API key is read from OPENAI_API_KEY, for
    LangGraph from LANGSMITH_API_KEY.
    """
    service = make_source(api, base_url, api_key, source, api_version)
    is_completed = _watch_run(
        db, service, None if thread == "-" else thread, run, timeout, prices, tz
    )
    raise typer.Exit(0 if is_completed else 1)


def _watch_run(
    db: str,
    service: Source,
    thread: str | None,
    run: str,
    timeout: float,
    prices: str | None,
    tz: str,
) -> bool:
    from projections import Views
    from tracker.cli.history import print_history
    from tracker.cli.terminal import silence_log, status_lines
    from tracker.core.status import COMPLETED
    from tracker.errors import WaitTimeout

    with Views(db) as views:
        views.prepare(create=True)
    # Problems that stop the watch are raised, and so printed, anyway.
    silence_log()
    with status_lines(run) as set_status:
        try:
            state = asyncio.run(_poll_until_end(db, service, thread, run, timeout, set_status))
        except WaitTimeout as error:
            message = f"{run} has not ended within {timeout:g} s; watch it again to continue"
            if error.__cause__:
                message += f". Last error: {error.__cause__}"
            raise WaitTimeout(message) from error
    print_history(db, run, source=service.name, json=False, prices=prices, tz=tz)
    return state.status == COMPLETED


async def _poll_until_end(
    db: str,
    service: Source,
    thread: str | None,
    run: str,
    timeout: float,
    set_status: SetStatus,
) -> RunState:
    from tracker import Tracker

    # Other open runs of the database may belong to another service, so they are not resumed.
    async with Tracker(db, service, resume=False) as tracker:
        shown = _Shown(tracker, run, set_status)
        await tracker.watch(thread, run)
        end = asyncio.create_task(tracker.wait(run, timeout=timeout))
        while not end.done():
            await asyncio.wait([end], timeout=_LOOK_SECONDS)
            shown.update()
        state = await end
        set_status("reading its steps …")
        await tracker.drain()
        return state


class _Shown:
    """The part of a run's history that was shown, and its last trouble."""

    def __init__(self, tracker: Tracker, run: str, set_status: SetStatus) -> None:
        from tracker.core.state import initial_state

        self._tracker = tracker
        self._run = run
        self._set_status = set_status
        self._state = initial_state
        self._events = 0
        self._trouble = ""
        # What was recorded before is shown as one status.
        self._read_changes()
        if self._state.status is not None:
            set_status(self._state.status)

    def update(self) -> None:
        """Shows each status since the last call, and a new trouble."""
        for status in self._read_changes():
            self._set_status(status)
        trouble = str(self._tracker.troubles.get(self._run) or "")
        if trouble != self._trouble:
            self._trouble = trouble
            self._set_status(trouble or self._state.status or "requesting …")

    def _read_changes(self) -> list[str]:
        from tracker.core.events import Unreadable
        from tracker.core.state import evolve
        from tracker.errors import UnknownRun

        try:
            recorded = self._tracker.history(self._run)
        except UnknownRun:
            return []
        changes = []
        for entry in recorded[self._events :]:
            before, self._events = self._state.status, self._events + 1
            if not isinstance(entry.event, Unreadable):
                self._state = evolve(self._state, entry.event)
            if self._state.status not in (before, None):
                changes.append(str(self._state.status))
        return changes
