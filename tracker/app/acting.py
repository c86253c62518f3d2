"""The part of a tracker that acts: handlers of events, tools, and jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from tracker.core.events import RunActionRequired
from tracker.delivery.handlers import DeliveryProgress, EventT, Registration, Result, Since
from tracker.delivery.subscriptions import Subscriptions
from tracker.errors import SettingsError
from tracker.runtime.jobs import Job, Jobs
from tracker.session import Session
from tracker.tools.tool import OnError, Tool
from tracker.tools.toolbox import Toolbox

ToolFunction = TypeVar("ToolFunction", bound=Callable[..., Any])


class Acting:
    """The handlers, tools and jobs of a tracker. The base of `Tracker`."""

    def __init__(self) -> None:
        self._subscriptions = Subscriptions()
        self._toolboxes: dict[str, Toolbox] = {}
        self._jobs = Jobs()
        self._session: Session | None = None

    def on(
        self,
        *kinds: type[EventT],
        name: str = "handlers",
        since: Since = "now",
        concurrency: int | None = None,
        timeout: float | None = None,
        give_up_after: float | None = None,
    ) -> Registration[EventT, Result]:
        """Returns a decorator that delivers events of these classes, or all, to a function.

        Delivers each at least once, from the checkpoint that `name` has in the database; a new
        name begins `since` now, or at the start of the recorded events. The function may be a
        coroutine function. The events of a run are delivered in order, one at a time, those of
        different runs at once, up to `concurrency` (32). If a function raises, or takes longer
        than `timeout` seconds, it is called again, and only the other events of its run wait for
        that; after `give_up_after` seconds (a day) the run is parked, see `retry_deliveries`.
        These three belong to the name. The processes of one name share its runs on PostgreSQL,
        and take turns on SQLite; services that share a database need names of their own. Raises
        SettingsError if the tracker is open.
        """
        if self._session is not None:
            raise SettingsError("the tracker is open: register handlers before, to miss no event")
        settings = (concurrency, timeout, give_up_after)
        return self._subscriptions.on(kinds, name, since, *settings)  # type: ignore[return-value]

    @overload
    def tool(self, function: ToolFunction, /) -> ToolFunction: ...

    @overload
    def tool(
        self,
        name: str | None = None,
        /,
        *,
        once: bool = False,
        on_error: OnError | None = None,
        handlers: str = "tools",
    ) -> Callable[[ToolFunction], ToolFunction]: ...

    def tool(
        self,
        name: Any = None,
        /,
        *,
        once: bool = False,
        on_error: OnError | None = None,
        handlers: str = "tools",
    ) -> Any:
        """Makes a function the tool that answers the calls of its name, or of another `name`.

        When a run waits for calls and there is a tool for each of them, the tools are called and
        all outputs are submitted in one request; other runs are left to handlers. The arguments
        are checked against the annotations of the function, which may be a coroutine function; a
        plain one gets a thread. A text is submitted as it is, another result as JSON. If the
        arguments do not fit or the function raises, the output says so; `on_error` is a function
        of the exception that returns another output, or raises to have all tried again later.

        The run is asked what it waits for before any tool is called. A function that was
        interrupted by a kill is called again, unless it is to be called `once`: then the output
        says that the call may have been carried out. `handlers` is the name of the checkpoint: see
        `on`. Raises SettingsError if the tracker is open, and for a function whose arguments
        cannot be named.
        """
        if callable(name):
            return self.tool()(name)

        def register(function: ToolFunction) -> ToolFunction:
            tool = Tool(function, name, once, on_error)
            toolbox = self._toolboxes.get(handlers)
            if toolbox is None:
                toolbox = Toolbox(self._require_session)
                self.on(RunActionRequired, name=handlers)(toolbox.handle)
                self._toolboxes[handlers] = toolbox
            elif self._session is not None:
                raise SettingsError("the tracker is open: register tools before")
            toolbox.add(tool)
            return function

        return register

    def deliveries(self) -> list[DeliveryProgress]:
        """Returns the progress of the handlers of each name, and the error that holds them up."""
        self._require_session()
        return self._subscriptions.progress

    async def retry_deliveries(
        self, run_id: str | None = None, *, name: str | None = None, source: str | None = None
    ) -> int:
        """Delivers the events of parked runs again: of one run or all, and of one name or all.

        Returns the number of runs, once for each name.
        """
        return await self._subscriptions.retry(
            run_id, name, source, list(self._require_session().sources)
        )

    async def stop_delivering(self) -> None:
        """Lets handlers that are running finish, and calls no other; leaving does so too."""
        await self._subscriptions.stop()

    def every(self, seconds: float, job: Job, *, name: str | None = None) -> None:
        """Runs a function or coroutine function when the tracker is entered, then at intervals.

        It runs every so many `seconds`, never twice at once: a run that takes longer finishes, and
        the runs due meanwhile are skipped. A function may block: it has a thread of its own. An
        error is logged, and the job runs again when it is next due. May be called before the
        tracker is entered, or while it is open; leaving waits up to half a minute for a run that
        has begun. Raises SettingsError for a bad job or interval.
        """
        self._check_process()
        self._jobs.every(seconds, job, name)

    async def stop_jobs(self) -> None:
        """Lets jobs that are running finish, and starts no other; leaving does so too."""
        await self._jobs.stop()

    def _require_session(self) -> Session:
        raise NotImplementedError

    def _check_process(self) -> None:
        raise NotImplementedError
