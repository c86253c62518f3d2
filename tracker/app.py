"""The write side, wired: one event store, its sources, and the poller between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from pydantic_core import from_json

from tracker.capture import CapturedRuns
from tracker.clock import Clock, SystemClock
from tracker.core.events import Event, run_stream
from tracker.core.state import RunState
from tracker.errors import PayloadError, RunfoldError, SettingsError, UnknownRun, WaitTimeout
from tracker.event_store import EventStore, RecordedEvent, open_event_store
from tracker.histories import Histories, look
from tracker.leases.joining import join
from tracker.polling.batching import Batching
from tracker.polling.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.polling.scheduler import TICK_SECONDS, Scheduler
from tracker.polling.watched import Watched
from tracker.sources.assistants import Assistants
from tracker.sources.source import Source

logger = logging.getLogger("runfold")

Until = Literal["ended", "actionable"]
_CONDITIONS: dict[str, Callable[[RunState], bool]] = {
    "ended": lambda state: state.is_ended,
    "actionable": lambda state: state.is_ended or state.needs_action,
}
RESUME_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Parts:
    histories: Histories
    batching: Batching
    poller: Poller
    loop: asyncio.AbstractEventLoop


class Tracker:
    """Watches runs and records what happens to them; use it with `async with`.

    `store` is a database URL (see `open_event_store`) or an event store, which is then the
    caller's to close. Each source needs a name of its own: the runs recorded under it are its
    runs. Entering opens the store, watches again every run that has not ended (unless `resume`
    is false), and starts to poll; leaving stops polling and loses nothing. Nothing happens
    before it is entered. `requests_per_second` caps what each source is asked; how much of it
    the service takes is found out.

    Several may share a PostgreSQL database: they divide the threads among them, take over from
    one that dies within ten seconds, and poll every open run that any of them recorded; each
    may create, watch and wait for any run. An SQLite file has one. With `resume` false a tracker
    takes no part in that, and may watch its own runs beside it. (So does one that was given an
    event store, of which it cannot know who else has it.)

    Raises SettingsError for two sources of one name or a cap of nothing, StoreUnavailable where
    the store cannot be opened, and AlreadyPolled where an SQLite file has a tracker.
    """

    def __init__(
        self,
        store: str | EventStore,
        *sources: Source,
        clock: Clock | None = None,
        cadence: Cadence | None = None,
        requests_per_second: float | None = None,
        concurrency: int = 32,
        resume: bool = True,
    ) -> None:
        self._given = store
        self._sources: dict[str, Source] = {source.name: source for source in sources}
        if len(self._sources) != len(sources):
            raise SettingsError("two sources have one name: give each its own, name='…'")
        self._clock = clock or SystemClock()
        self._cadence = cadence
        if requests_per_second is not None and not requests_per_second > 0:
            raise SettingsError("requests_per_second has to be above 0, or None for no cap")
        self._ceiling = requests_per_second
        self._concurrency = concurrency
        self._resumes = resume
        self._stack = AsyncExitStack()
        self._parts: _Parts | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            store = self._given
            if isinstance(store, str):
                store = await asyncio.to_thread(open_event_store, store)
                stack.callback(store.close)
            histories = Histories(store)
            stack.callback(histories.close)
            batching = Batching(histories)
            poller = Poller(
                batching,
                self._clock,
                cadence=self._cadence,
                ceiling=self._ceiling,
                concurrency=self._concurrency,
            )
            for source in self._sources.values():
                stack.push_async_callback(source.aclose)
            stack.push_async_callback(poller.close)
            if self._resumes and await join(
                stack, self._given, store, histories, poller, self._sources
            ):
                self._resume(poller, await asyncio.to_thread(histories.open_runs))
            scheduler = Scheduler()
            scheduler.every(TICK_SECONDS, poller.tick, "poll")
            scheduler.start()
            stack.callback(scheduler.stop)
            self._parts = _Parts(histories, batching, poller, asyncio.get_running_loop())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._parts = None
        await self._stack.aclose()

    @property
    def runs(self) -> CapturedRuns:
        """The Assistants resource of the only such source, captured. See also `runs_of`."""
        names = [name for name, source in self._sources.items() if isinstance(source, Assistants)]
        if len(names) != 1:
            raise SettingsError(
                f"{len(names)} sources have the Assistants resource: say which, with runs_of(name)"
            )
        return self.runs_of(names[0])

    def runs_of(self, name: str) -> CapturedRuns:
        """The Assistants resource of the source of that name, captured."""
        parts = self._entered()
        source = self._source(name)
        if not isinstance(source, Assistants):
            raise SettingsError(f"the source {name!r} has no Assistants resource")
        return CapturedRuns(source, parts.batching, parts.poller)

    @property
    def watching(self) -> list[RunState]:
        """The runs that are being watched, as they are known now."""
        return [watched.state for watched in self._entered().poller.watched]

    @property
    def troubles(self) -> dict[str, RunfoldError]:
        """What became of the last look at each watched run where it failed, by the run's id."""
        watched = self._entered().poller.watched
        return {entry.run_id: entry.trouble for entry in watched if entry.trouble is not None}

    async def watch(self, thread_id: str, run_id: str, *, source: str | None = None) -> None:
        """Watches a run that somebody else created, until it ends."""
        origin = self._source(source)
        state = await self._state(run_stream(origin.name, run_id))
        if not state.is_ended:
            self._entered().poller.watch(origin, thread_id, run_id, state=state)

    async def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        until: Until = "ended",
        source: str | None = None,
    ) -> RunState:
        """The state of a run once it has ended, or (`actionable`) needs an action or has ended.

        `timeout` is a deadline over everything, in seconds. Raises WaitTimeout when it passes,
        UnknownRun for a run that is neither watched nor recorded, and the SourceError that
        keeps the run from being asked about.
        """
        parts = self._entered()
        watched, state = await self._find(run_id, source)
        if watched is None:
            return state
        try:
            async with asyncio.timeout(timeout):
                return await watched.until(_CONDITIONS[until])
        except TimeoutError:
            known = parts.poller.find(watched.stream) or watched
            trouble = f"; the last look failed: {known.trouble}" if known.trouble else ""
            raise WaitTimeout(
                f"{run_id} was not {until} within {timeout} s: it is "
                f"{known.state.status or 'not seen yet'}, and stays watched{trouble}"
            ) from known.trouble

    def observe(
        self,
        payload: Mapping[str, Any] | bytes | str,
        *,
        source: str | None = None,
        observed_at: datetime | None = None,
    ) -> list[Event]:
        """Records a run object from a webhook, a stream or a file; gives the events that it added.

        Returns when they are durable. `observed_at` is when the service answered so, where that
        is known; without it the document counts as of unknown age. From another thread than the
        tracker's it may be called too. Raises PayloadError where it is not a run.
        """
        parts = self._entered()
        origin = self._source(source)
        body = _decoded(payload)
        snapshot = origin.snapshot(
            body, observed_at=observed_at or self._clock.now(), asked_at=observed_at
        )
        [observed] = parts.histories.record([look(snapshot)])
        if isinstance(observed, RunfoldError):
            raise observed
        stream = run_stream(origin.name, snapshot.run_id)
        # From a thread that outlives the loop: there is nobody left to be told.
        with suppress(RuntimeError):
            parts.loop.call_soon_threadsafe(parts.poller.notice, stream, observed.state)
        return list(observed.events)

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]:
        """The events of a run, oldest first. Raises UnknownRun where there are none."""
        parts = self._entered()
        for name in [source] if source else list(self._sources):
            if recorded := parts.histories.read(run_stream(name, run_id)):
                return recorded
        raise UnknownRun(f"nothing was ever recorded of {run_id}: watch it, or observe it")

    def _entered(self) -> _Parts:
        if self._parts is None:
            raise SettingsError("the tracker is not open: use it within `async with Tracker(…)`")
        return self._parts

    def _source(self, name: str | None) -> Source:
        if name is None and len(self._sources) == 1:
            return next(iter(self._sources.values()))
        if name is None or name not in self._sources:
            known = ", ".join(sorted(self._sources)) or "none"
            raise SettingsError(f"source {name!r} is not one of the tracker's: {known}")
        return self._sources[name]

    async def _state(self, stream: str) -> RunState:
        return await asyncio.to_thread(self._entered().histories.state, stream)

    async def _find(self, run_id: str, source: str | None) -> tuple[Watched | None, RunState]:
        poller = self._entered().poller
        for name in [source] if source else list(self._sources):
            stream = run_stream(name, run_id)
            if watched := poller.find(stream):
                return watched, watched.state
            state = await self._state(stream)
            if state.is_ended:
                return None, state
            if state.status is not None and state.thread_id is not None:
                origin = self._source(name)
                return poller.watch(origin, state.thread_id, run_id, state=state), state
        raise UnknownRun(f"{run_id} is neither watched nor recorded: watch it first")

    def _resume(self, poller: Poller, states: list[RunState]) -> None:
        known = [s for s in states if s.source in self._sources and s.thread_id and not s.vanished]
        spread = min(RESUME_SECONDS, len(known) / 20)
        for number, state in enumerate(known):
            assert state.thread_id is not None
            poller.watch(
                self._sources[state.source],
                state.thread_id,
                state.run_id,
                state=state,
                after=spread * number / len(known),
            )
        if known:
            logger.info("watching %d runs again that had not ended", len(known))


def _decoded(payload: Mapping[str, Any] | bytes | str) -> Mapping[str, Any]:
    if isinstance(payload, Mapping):
        return payload
    try:
        body = from_json(payload)
    except ValueError as error:
        raise PayloadError(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise PayloadError(f"a {type(body).__name__}, where a JSON object of a run belongs")
    return body
