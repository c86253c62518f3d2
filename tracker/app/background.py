"""The tracker for code without an event loop: the same calls, which block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tracker.app.background_resources import BackgroundResponses, BackgroundRuns
from tracker.app.portal import Portal
from tracker.app.table_followers import Tables
from tracker.capture.hooks import Client
from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.delivery.handlers import DeliveryProgress, EventT, Registration, Result, Since
from tracker.errors import RunfoldError
from tracker.event_store import RecordedEvent
from tracker.ingest.backfill import Backfilled
from tracker.ingest.streams import StreamObserver
from tracker.ingest.webhook_inbox import WEBHOOK_SECONDS, Only
from tracker.polling.metrics import SourceCounts
from tracker.polling.queues.background_requests import INTERVAL_SECONDS
from tracker.polling.source_status import SourceStatus
from tracker.runtime.jobs import Job
from tracker.session import Until
from tracker.sources.documents import ClientModel
from tracker.sources.stream_events import StreamPayload
from tracker.webhooks import Headers, Secret

if TYPE_CHECKING:
    from tracker.app.tracker import Tracker

Item = TypeVar("Item")


class BackgroundTracker:
    """A tracker for Flask, Django or a script: the same calls, which block; safe for threads.

    Use it with `with`, or call `start` and `stop`. A call raises the errors of the tracker's own.
    A call that has begun when the tracker stops is completed, except `wait`, `drain`, `webhook`
    and `backfill`, which are cut short with a SettingsError as any later call is. Ctrl-C
    interrupts a call that blocks. When the main thread of the program ends, the tracker stops by
    itself. After a fork it raises SettingsError in the child.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._portal = Portal(tracker)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Returns once the tracker is open. Raises the error of entering it."""
        self._portal.start()
        return self

    def stop(self) -> None:
        """Stops handlers, lets calls that have begun finish, and leaves the tracker.

        From a handler or a job it asks for that and returns at once. Does nothing if it is not
        started, or was started by the parent of this process.
        """
        self._portal.stop()

    # Runs: watched, waited for, found and looked up.

    def watch(self, thread_id: str | None, run_id: str, *, source: str | None = None) -> None:
        """Watches a run that somebody else created, until it ends."""
        self._portal.call(lambda: self._tracker.watch(thread_id, run_id, source=source))

    def watch_thread(
        self, thread_id: str, *, source: str | None = None, every: float = INTERVAL_SECONDS
    ) -> None:
        """Finds the runs that begin on a thread; see `Tracker.watch_thread`."""
        self._portal.read(lambda: self._tracker.watch_thread(thread_id, source=source, every=every))

    def unwatch_thread(self, thread_id: str, *, source: str | None = None) -> None:
        """Finds no more runs on a thread; those that are watched stay watched."""
        self._portal.read(lambda: self._tracker.unwatch_thread(thread_id, source=source))

    def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        until: Until = "ended",
        source: str | None = None,
    ) -> RunState:
        """Returns the state of a run once it has ended, or (`actionable`) needs an action.

        Within `timeout` seconds. Raises as `Tracker.wait` does.
        """
        return self._portal.call(
            lambda: self._tracker.wait(run_id, timeout=timeout, until=until, source=source),
            may_last=True,
        )

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]:
        """Returns the events of a run, oldest first. Raises UnknownRun where there are none."""
        return self._portal.call(
            lambda: asyncio.to_thread(self._tracker.history, run_id, source=source)
        )

    def backfill(
        self, thread_id: str, source: str | None = None, *, steps: bool = True, watch: bool = True
    ) -> Backfilled:
        """Records all runs of a thread as they are now; see `Tracker.backfill`."""
        return self._portal.call(
            lambda: self._tracker.backfill(thread_id, source, steps=steps, watch=watch),
            may_last=True,
        )

    def drain(self, timeout: float = 10.0) -> bool:
        """True if the steps of all runs that have ended are recorded within `timeout` seconds."""
        return self._portal.call(lambda: self._tracker.drain(timeout), may_last=True)

    # The state of things.

    @property
    def watching(self) -> list[RunState]:
        """The runs that are being watched, as they are known now."""
        return self._portal.read(lambda: self._tracker.watching)

    @property
    def troubles(self) -> dict[str, RunfoldError]:
        """The error of the last poll of each watched run that failed, by the run's id."""
        return self._portal.read(lambda: self._tracker.troubles)

    @property
    def overdue(self) -> list[RunState]:
        """The watched runs past their `expires_at` that are not known to have ended."""
        return self._portal.read(lambda: self._tracker.overdue)

    def sources_status(self) -> dict[str, SourceStatus]:
        """Returns the status of each source: its rate, its refusals, and what waits for it."""
        return self._portal.read(self._tracker.sources_status)

    def counts(self) -> dict[str, SourceCounts]:
        """Returns the counts since the tracker was opened, by source; empty while it is closed."""
        return self._tracker.counts()

    # Our own calls, captured.

    @property
    def runs(self) -> BackgroundRuns:
        """The Assistants resource of the only such source, captured. See also `runs_of`."""
        self._portal.check_running()
        return BackgroundRuns(self._portal.call, lambda: self._tracker.runs)

    def runs_of(self, name: str) -> BackgroundRuns:
        """Returns the Assistants resource of the source of that name, captured."""
        self._portal.check_running()
        return BackgroundRuns(self._portal.call, lambda: self._tracker.runs_of(name))

    @property
    def responses(self) -> BackgroundResponses:
        """The Responses resource of the only such source, captured. See also `responses_of`."""
        self._portal.check_running()
        return BackgroundResponses(self._portal.call, lambda: self._tracker.responses)

    def responses_of(self, name: str) -> BackgroundResponses:
        """Returns the Responses resource of the source of that name, captured."""
        self._portal.check_running()
        return BackgroundResponses(self._portal.call, lambda: self._tracker.responses_of(name))

    def capture(self, client: Client, source: str | None = None) -> Client:
        """Records the calls of a client, from any thread; see `Tracker.capture`."""
        return self._tracker.capture(client, source)

    # Payloads that others hand in.

    def observe(
        self,
        payload: Mapping[str, Any] | bytes | str | ClientModel,
        *,
        source: str | None = None,
        observed_at: datetime | None = None,
    ) -> list[Event]:
        """Records a run, a step, or an event of a stream; returns the events that it added.

        Returns when they are durable. Raises as `Tracker.observe` does.
        """
        return self._portal.call(
            lambda: asyncio.to_thread(
                self._tracker.observe, payload, source=source, observed_at=observed_at
            )
        )

    def webhook(
        self,
        body: bytes,
        headers: Headers,
        *,
        secret: Secret | Sequence[Secret],
        source: str | None = None,
        timeout: float = WEBHOOK_SECONDS,
        only: Only = None,
    ) -> RunState | None:
        """Records a webhook, and returns the state of its run; see `Tracker.webhook`."""
        return self._portal.call(
            lambda: self._tracker.webhook(
                body, headers, secret=secret, source=source, timeout=timeout, only=only
            ),
            may_last=True,
        )

    def observing(self, stream: Iterable[Item], *, source: str | None = None) -> Iterator[Item]:
        """Yields the items of a stream, and records what they show; see `Tracker.observing`."""
        observer = self._portal.read(lambda: StreamObserver(self._tracker._require_session, source))
        for item in stream:
            # Few items show a run or a step: the others cost no call.
            if shown := observer.read(item):
                self._record(observer, shown)
            yield item

    # Handlers and jobs.

    def on(
        self, *kinds: type[EventT], name: str = "handlers", since: Since = "now", **settings: Any
    ) -> Registration[EventT, Result]:
        """Returns a decorator for a function of one `Delivery`, before the start.

        The function may use this object, and block: it is called in a thread of its own. The
        settings are those of `Tracker.on`.
        """
        return self._tracker.on(*kinds, name=name, since=since, **settings)

    def tool(self, *arguments: Any, **settings: Any) -> Any:
        """Makes a function a tool; it may use this object, and block. See `Tracker.tool`."""
        return self._tracker.tool(*arguments, **settings)

    def deliveries(self) -> list[DeliveryProgress]:
        """Returns the progress of the handlers of each name, and the error that holds them up."""
        return self._portal.read(self._tracker.deliveries)

    def retry_deliveries(
        self, run_id: str | None = None, *, name: str | None = None, source: str | None = None
    ) -> int:
        """Delivers the events of parked runs again; see `Tracker.retry_deliveries`."""
        return self._portal.call(
            lambda: self._tracker.retry_deliveries(run_id, name=name, source=source)
        )

    def every(self, seconds: float, job: Job, *, name: str | None = None) -> None:
        """Runs a function at the start and then every so many `seconds`; see `Tracker.every`.

        It may use this object, and block: it is called in a thread of its own.
        """
        self._tracker.every(seconds, job, name=name)

    def follow(self, tables: Tables) -> None:
        """Creates the tables of a `Views`, and keeps them in step; see `Tracker.follow`."""
        self._tracker.follow(tables)

    def _record(self, observer: StreamObserver, shown: list[StreamPayload]) -> None:
        self._portal.call(lambda: observer.record(shown))
