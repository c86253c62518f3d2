"""A tracker while it is open: what it is made of, and runs found by their ids in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from tracker.clock import Clock
from tracker.core.events import Event, run_stream
from tracker.core.state import RunState, initial_state
from tracker.errors import RunfoldError, UnknownRun, WaitTimeout
from tracker.event_store import RecordedEvent
from tracker.histories import Histories
from tracker.importing import decoded
from tracker.polling.batching import Batching
from tracker.polling.counters import Counters, SourceCounts
from tracker.polling.discovery import FIRST_LOOK_SECONDS
from tracker.polling.poller import Poller
from tracker.polling.standing import SourceStatus
from tracker.polling.watched import Watched
from tracker.sightings import Sighting, sighting
from tracker.sources.directory import Directory
from tracker.sources.source import Source
from tracker.sources.stream_events import Shown, is_event, shown_by
from tracker.webhooks import Arrivals, Hint

Until = Literal["ended", "actionable"]
_CONDITIONS: dict[str, Callable[[RunState], bool]] = {
    "ended": lambda state: state.is_ended,
    "actionable": lambda state: state.is_ended or state.needs_action,
    "seen": lambda state: state.status is not None,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The parts of an open tracker; what the methods promise is said at `Tracker`'s own."""

    sources: Directory
    clock: Clock
    histories: Histories
    batching: Batching
    poller: Poller
    counters: Counters
    loop: asyncio.AbstractEventLoop
    arrivals: Arrivals = field(default_factory=Arrivals)

    async def watch(self, thread_id: str, run_id: str, source: str | None) -> None:
        """Watches a run until it ends."""
        origin = self.sources.named(source)
        state = await self._state(run_stream(origin.name, run_id))
        if not state.is_ended:
            self.poller.watch(origin, thread_id, run_id, state=state)

    async def wait(
        self, run_id: str, timeout: float | None, until: Until, source: str | None
    ) -> RunState:
        """The state of a run once it has got there."""
        watched, state = await self._find(run_id, source)
        if watched is None:
            return state
        return await self._until(watched, until, timeout, f"{run_id} was not {until}")

    def observe(
        self,
        payload: Mapping[str, Any] | bytes | str,
        source: str | None,
        observed_at: datetime | None,
    ) -> list[Event]:
        """Records a document or an event of a stream, and tells who watches its run."""
        body = decoded(payload)
        shown = shown_by(body) if is_event(body) else Shown("run", body)
        if shown is None:
            return []
        seen = sighting(self.sources, shown, source, observed_at or self.clock.now(), observed_at)
        events: list[Event] = []
        recorded = self.histories.record(seen.looks)
        for entry, observed in zip(seen.looks, recorded, strict=True):
            if isinstance(observed, RunfoldError):
                raise observed
            # From a thread that outlives the loop: there is nobody left to be told.
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(
                    self.poller.observed, seen.origin, entry.stream, observed
                )
            events += observed.events
        return events

    async def take_in(self, seen: Sighting) -> RunState:
        """Records a sighting, and watches its run from here on unless it has ended."""
        first, state = seen.looks[0].stream, initial_state
        for entry in seen.looks:
            observed = await self.batching.record(entry)
            if entry.stream == first:
                state = observed.state
                if not state.is_ended:
                    self.look_after(seen)
            self.poller.observed(seen.origin, entry.stream, observed)
        return state

    def look_after(self, seen: Sighting) -> None:
        """Watches the run of a sighting, if its service keeps it."""
        if seen.is_kept:
            self.poller.watch(seen.origin, seen.thread_id, seen.run_id, after=FIRST_LOOK_SECONDS)

    async def heed(self, origin: Source, hint: Hint, timeout: float) -> RunState:
        """The state of a run that there is a hint at, once it is what the hint says."""
        state = await self._state(run_stream(origin.name, hint.run_id))
        if state.is_ended:
            return state
        thread_id = hint.thread_id or state.thread_id or ""
        watched = self.poller.watch(origin, thread_id, hint.run_id, state=state)
        self.poller.hasten(watched)
        missed = f"what a webhook said of {hint.run_id} was not seen"
        return await self._until(watched, hint.until, timeout, missed)

    def history(self, run_id: str, source: str | None) -> list[RecordedEvent]:
        """The events of a run."""
        for name in [source] if source else list(self.sources):
            if recorded := self.histories.read(run_stream(name, run_id)):
                return recorded
        raise UnknownRun(f"nothing was ever recorded of {run_id}: watch it, or observe it")

    def counts(self) -> dict[str, SourceCounts]:
        """What was counted, by source."""
        return self.counters.of(self.standing(), self.poller.watched)

    def standing(self) -> dict[str, SourceStatus]:
        """How each source stands."""
        known = {name: self.poller.standing(source) for name, source in self.sources.items()}
        return {name: self.counters.told(name, status) for name, status in known.items()}

    async def _until(
        self, watched: Watched, until: str, timeout: float | None, missed: str
    ) -> RunState:
        """The state of a run once it has got there; `missed` says what it is if it does not."""
        try:
            async with asyncio.timeout(timeout):
                return await watched.until(_CONDITIONS[until])
        except TimeoutError:
            known = self.poller.find(watched.stream) or watched
            trouble = f"; the last look failed: {known.trouble}" if known.trouble else ""
            raise WaitTimeout(
                f"{missed} within {timeout} s: it is "
                f"{known.state.status or 'not seen yet'}, and stays watched{trouble}"
            ) from known.trouble

    async def _state(self, stream: str) -> RunState:
        return await asyncio.to_thread(self.histories.state, stream)

    async def _find(self, run_id: str, source: str | None) -> tuple[Watched | None, RunState]:
        for name in [source] if source else list(self.sources):
            stream = run_stream(name, run_id)
            if watched := self.poller.find(stream):
                return watched, watched.state
            state = await self._state(stream)
            if state.is_ended:
                return None, state
            if state.status is not None:
                origin, thread_id = self.sources.named(name), state.thread_id or ""
                return self.poller.watch(origin, thread_id, run_id, state=state), state
        raise UnknownRun(f"{run_id} is neither watched nor recorded: watch it first")
