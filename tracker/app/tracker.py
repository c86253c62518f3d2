"""The tracker: the public calls of the write side."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args

from tracker.app.acting import Acting
from tracker.app.bootstrap import Settings, open_session
from tracker.app.table_followers import TableFollowers, Tables
from tracker.capture.client_capture import ClientCapture
from tracker.capture.hooks import Client, install_hooks
from tracker.capture.responses import CapturedResponses
from tracker.capture.runs import CapturedRuns
from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.errors import RunfoldError, SettingsError
from tracker.event_store import EventStore, RecordedEvent
from tracker.ingest.backfill import Backfilled, backfill
from tracker.ingest.recorder import observe
from tracker.ingest.streams import observe_stream
from tracker.ingest.webhook_inbox import WEBHOOK_SECONDS, Only, receive_webhook
from tracker.polling.metrics import SourceCounts
from tracker.polling.policy.cadence import Cadence
from tracker.polling.queues.background_requests import INTERVAL_SECONDS
from tracker.polling.run_updates import StepsWhen
from tracker.polling.source_status import SourceStatus
from tracker.runtime.clock import Clock, SystemClock
from tracker.runtime.fork_check import check_not_forked
from tracker.session import Session, Until
from tracker.sources.assistants.resource import Assistants
from tracker.sources.documents import ClientModel
from tracker.sources.registry import SourceRegistry
from tracker.sources.responses.resource import Responses
from tracker.sources.source import Source
from tracker.webhooks import Headers, Secret

if TYPE_CHECKING:
    from tracker.app.background import BackgroundTracker

Item = TypeVar("Item")


class Tracker(Acting):
    """Watches runs and records what happens to them; use it with `async with`.

    `store` is a database URL (see `open_event_store`) or an event store, which the caller closes.
    Each source needs a name of its own, under which its runs are recorded. Entering opens the
    store, watches again every run that has not ended (unless `resume` is false), and starts to
    poll; leaving stops polling and loses nothing. Nothing happens before it is entered. Enter it
    after a fork: an open tracker does not survive one. `requests_per_second` caps the requests to
    each source; below that cap, the tracker finds the rate that the service accepts.

    While its database is away, a tracker keeps what was answered, and records it afterwards; calls
    that record raise StoreUnavailable at once, or log it. A database that does not answer is waited
    for a few seconds when the tracker is left.

    Several trackers may share a PostgreSQL database: they divide the threads among them, take
    over within ten seconds from one that dies, and poll every open run that any of them recorded;
    each may create, watch and wait for any run. An SQLite file has one tracker. With `resume`
    false, or with an event store in place of a URL, a tracker does not take part in the division,
    and may watch its own runs beside the others.

    `steps` tells when the steps of a watched or observed run are read: once it has `"ended"`;
    `"live"`, which is also each time that its status changes; or `"never"`. Polls take precedence,
    except for a part of the rate. Entering (with `resume`) also reads the steps of runs that ended
    within a day, if an earlier tracker has not.

    `scheduler` is an APScheduler AsyncIOScheduler of the application, on the same event loop:
    the jobs given to `every` are added to it and removed at the end. The application starts it.

    Every call but `on`, `tool`, `every`, `follow`, `counts`, `capture` and `in_background` raises
    SettingsError unless the tracker is open. The constructor raises SettingsError for two sources
    of one name and for a cap that is not above 0; entering raises StoreUnavailable if the store
    cannot be opened, and AlreadyPolled if an SQLite file has a tracker.
    """

    def __init__(
        self,
        store: str | EventStore,
        *sources: Source,
        clock: Clock | None = None,
        cadence: Cadence | None = None,
        requests_per_second: float | None = None,
        concurrency: int = 32,
        steps: StepsWhen = "ended",
        resume: bool = True,
        scheduler: object | None = None,
    ) -> None:
        registry = SourceRegistry(sources)
        if requests_per_second is not None and not requests_per_second > 0:
            raise SettingsError("requests_per_second has to be above 0, or None for no cap")
        if steps not in get_args(StepsWhen):
            raise SettingsError('steps has to be "ended", "live" or "never"')
        self._settings = Settings(
            store=store,
            sources=registry,
            clock=clock or SystemClock(),
            cadence=cadence,
            requests_per_second=requests_per_second,
            concurrency=concurrency,
            steps=steps,
            resume=resume,
            scheduler=scheduler,
        )
        super().__init__()
        self._sources = registry
        self._followers = TableFollowers()
        self._client_capture: ClientCapture | None = None
        self._stack = AsyncExitStack()
        self._process = os.getpid()

    @classmethod
    def from_env(
        cls, source: Callable[[str, str | None], Source] = Assistants, **settings: Any
    ) -> Self:
        """Returns a tracker of the database and the service that the environment names.

        Reads the variables of the command line: `RUNFOLD_DB` (`sqlite:///runfold.db`),
        `OPENAI_BASE_URL` and `OPENAI_API_KEY`. `source` makes the source of an address and a key,
        such as `Responses`; the settings are those of the constructor. Raises SettingsError
        without an address.
        """
        base_url = os.environ.get("OPENAI_BASE_URL")
        if not base_url:
            raise SettingsError("no service: set OPENAI_BASE_URL to its address, with /v1")
        api = source(base_url, os.environ.get("OPENAI_API_KEY"))
        return cls(os.environ.get("RUNFOLD_DB") or "sqlite:///runfold.db", api, **settings)

    async def __aenter__(self) -> Self:
        self._check_process()
        if self._session is not None:
            raise SettingsError("the tracker is open already: enter it once")
        async with AsyncExitStack() as stack:

            def keep(session: Session) -> None:
                self._process, self._session = os.getpid(), session
                stack.callback(setattr, self, "_session", None)

            for toolbox in self._toolboxes.values():
                stack.callback(toolbox.close)
            # Stopped last, when all events are recorded.
            stack.push_async_callback(self._followers.stop)
            await open_session(stack, self._settings, self._subscriptions, self._jobs, keep)
            self._followers.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._check_process()
        await self._stack.aclose()

    def in_background(self) -> BackgroundTracker:
        """Returns this tracker for code without an event loop: in a thread, once started."""
        from tracker.app.background import BackgroundTracker

        return BackgroundTracker(self)

    # Runs: watched, waited for, found and looked up.

    async def watch(self, thread_id: str | None, run_id: str, *, source: str | None = None) -> None:
        """Watches a run that somebody else created, until it ends.

        `thread_id` is None for a source without threads, such as `Responses`.
        """
        await self._require_session().watch(thread_id, run_id, source)

    def watch_thread(
        self, thread_id: str, *, source: str | None = None, every: float = INTERVAL_SECONDS
    ) -> None:
        """Finds the runs that begin on a thread, `every` so many seconds where the rate allows.

        Of the 100 newest, those that have not ended are watched, and those that have are
        recorded. Threads are not recorded: name them again after a restart; the runs that were
        found on them are watched again anyway. Raises SettingsError for a source without pages.
        """
        session = self._require_session()
        session.discovery.watch_thread(self._sources.named(source), thread_id, every)

    def unwatch_thread(self, thread_id: str, *, source: str | None = None) -> None:
        """Finds no more runs on a thread; those that are watched stay watched."""
        session = self._require_session()
        session.discovery.unwatch_thread(self._sources.named(source), thread_id)

    async def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        until: Until = "ended",
        source: str | None = None,
    ) -> RunState:
        """Returns the state of a run once it has ended, or (`actionable`) needs an action.

        `timeout` is a deadline over everything, in seconds. Raises WaitTimeout when it passes,
        UnknownRun for a run that is neither watched nor recorded, and the SourceError that
        keeps the run from being asked about.
        """
        return await self._require_session().wait(run_id, timeout, until, source)

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]:
        """Returns the events of a run, oldest first. Raises UnknownRun where there are none."""
        return self._require_session().history(run_id, source)

    async def backfill(
        self,
        thread_id: str,
        source: str | None = None,
        *,
        steps: bool = True,
        watch: bool = True,
    ) -> Backfilled:
        """Records all runs of a thread as they are now, and the `steps` of those that have ended.

        Runs that have not ended are watched from here on, unless `watch` is false. The requests
        wait behind the polls, in the rate of the source; failed ones are tried again, for as long
        as the service says with 429 that they should. A backfill that was cut short can be called
        again: what is recorded adds nothing, and the steps of a run that has some recorded since
        its end are not asked for again.

        Raises SettingsError for a source that cannot list them, NotFound for a thread that the
        service does not know, and the SourceError that keeps it from going on.
        """
        return await backfill(self._require_session(), thread_id, source, steps=steps, watch=watch)

    async def drain(self, timeout: float = 10.0) -> bool:
        """Returns once the steps of all runs that have ended are recorded, or denied.

        False if they were not within `timeout` seconds, or if the service fails at them and they
        are tried again later: leaving the tracker then loses nothing, as the next one reads them.
        """
        return await self._require_session().step_reads.drain(timeout)

    # The state of things.

    @property
    def watching(self) -> list[RunState]:
        """The runs that are being watched, as they are known now."""
        return [watched.state for watched in self._require_session().watch_list.runs]

    @property
    def troubles(self) -> dict[str, RunfoldError]:
        """The error of each run whose last poll failed, or that is set aside, by the run's id."""
        return self._require_session().troubles()

    @property
    def overdue(self) -> list[RunState]:
        """The watched runs past their `expires_at` that are not known to have ended."""
        return self._require_session().overdue.overdue

    def sources_status(self) -> dict[str, SourceStatus]:
        """Returns the status of each source: its rate, its refusals, and what waits for it."""
        return self._require_session().sources_status()

    def counts(self) -> dict[str, SourceCounts]:
        """Returns the counts since the tracker was opened, by source; empty while it is closed."""
        return {} if self._session is None else self._require_session().counts()

    # Our own calls, captured.

    @property
    def runs(self) -> CapturedRuns:
        """The Assistants resource of the only such source, captured. See also `runs_of`."""
        return self.runs_of(self._sources.only_name_of(Assistants, "runs_of(name)"))

    def runs_of(self, name: str) -> CapturedRuns:
        """Returns the Assistants resource of the source of that name, captured."""
        session, api = self._require_session(), self._sources.named_as(Assistants, name)
        return CapturedRuns(api, session, self._require_session)

    @property
    def responses(self) -> CapturedResponses:
        """The Responses resource of the only such source, captured. See also `responses_of`."""
        return self.responses_of(self._sources.only_name_of(Responses, "responses_of(name)"))

    def responses_of(self, name: str) -> CapturedResponses:
        """Returns the Responses resource of the source of that name, captured."""
        session, api = self._require_session(), self._sources.named_as(Responses, name)
        return CapturedResponses(api, session, self._require_session)

    def capture(self, client: Client, source: str | None = None) -> Client:
        """Records the calls of a client as those of `runs` and `responses`; returns the client.

        The client is of httpx or of the `openai` package, async or not: its requests to the
        `base_url` of a source are captured, from now on and whenever the tracker is open. Hooks
        are added to its HTTP client, which clients made from it (`with_options`) share; all else
        stays. A call returns once its answer is recorded, or a second later. It never fails
        because of the tracker: an answer that is not recorded is logged, once per type of error.
        Streams of events are not captured, and neither are responses that are not made in the
        background. `source` is required if several sources are at one address.

        Raises SettingsError for any other client, and if no source has these calls.
        """
        if self._client_capture is None:
            self._client_capture = ClientCapture(self._sources, self._require_session)
        return install_hooks(client, self._client_capture, source)

    # Payloads that others hand in.

    def observe(
        self,
        payload: Mapping[str, Any] | bytes | str | ClientModel,
        *,
        source: str | None = None,
        observed_at: datetime | None = None,
    ) -> list[Event]:
        """Records a run, a step, or an event of a stream; returns the events that it added.

        The payload is a JSON object, as bytes, text or mapping, or an object of the `openai`
        package. Returns when the events are durable; a step of a run that is not known yet waits
        in memory until the run is recorded. A run that is open is watched from here on.
        `observed_at` is the time of the service's answer; without it, the age of the document is
        unknown. May be called from any thread. Without a `source`, the shape of the document
        decides between several. An event of a stream that shows neither a run nor a step adds
        nothing. Raises PayloadError if the document is neither a run nor a step, SettingsError if
        its shape does not tell which source it is from.
        """
        return observe(self._require_session(), payload, source, observed_at)

    async def webhook(
        self,
        body: bytes,
        headers: Headers,
        *,
        secret: Secret | Sequence[Secret],
        source: str | None = None,
        timeout: float = WEBHOOK_SECONDS,
        only: Only = None,
    ) -> RunState | None:
        """Records a webhook that is signed by Standard Webhooks; returns the state of its run.

        `body` is the body as it came, `secret` that of the endpoint (`whsec_…`), or several while
        one replaces another. `headers` are those of the request: a mapping, a WSGI environ, or
        pairs; Svix's names are known too. A run that the webhook contains is recorded. A run that
        it only names, as OpenAI's do, is polled at once, in the rate of its source, and watched
        until it ends; this returns when the content of the webhook is durable. None if it is not
        about a run of one of the sources, or cannot be read, which is logged.

        Services send the webhooks of a whole project. With `only="known"`, those about runs that
        are neither recorded nor watched are left out; with a function, those for whose run id it
        returns false.

        Raises WebhookRefused for a webhook that is not authentic, and WebhookReplayed for one
        that was recorded within the last minutes: answer that one alone as a success. After any
        other error it may come again: WaitTimeout after `timeout` seconds, the SourceError that
        keeps the run from being polled, SettingsError if the tracker cannot tell which of several
        sources the run is from.
        """
        return await receive_webhook(
            self._require_session(), body, headers, secret, source, timeout, only
        )

    def observing(
        self, stream: AsyncIterable[Item], *, source: str | None = None
    ) -> AsyncIterator[Item]:
        """Yields the items of a stream unchanged, and records what they show of runs and steps.

        Items are the bytes of server-sent events, in any pieces, or their lines as texts, or the
        events that a client package made of them. What an event shows is durable before the item
        that completes it is passed on, and its run is watched: if the stream breaks, the run is
        polled. An item that cannot be read is passed on too, and logged. Raises SettingsError if
        the tracker cannot tell which source the runs are from.
        """
        return observe_stream(self._require_session, stream, source)

    def follow(self, tables: Tables) -> None:
        """Creates the tables of a `Views` if there are none, and keeps them in step.

        They follow the events in a thread, from now on and whenever the tracker is open; leaving
        the tracker applies the last ones. The tables are of the tracker's database, and the caller
        closes the views after the tracker. Blocks for a moment; may be called before the tracker is
        entered, or while it is open, from any thread. Raises SchemaError for tables of another
        release, and StoreUnavailable if the database cannot be reached.
        """
        self._check_process()
        self._followers.add(tables)

    def _require_session(self) -> Session:
        """Returns the parts of the open tracker. Raises SettingsError unless it is open."""
        if self._session is None:
            raise SettingsError("the tracker is not open: use it within `async with Tracker(…)`")
        self._check_process()
        return self._session

    def _check_process(self) -> None:
        if self._session is not None or not isinstance(self._settings.store, str):
            check_not_forked(self._process)
