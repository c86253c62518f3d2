"""What a tracker is sent: documents, webhooks, and the events of streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.importing import decoded
from tracker.opened import Opened
from tracker.sightings import sighting
from tracker.sources.assistants import Assistants
from tracker.sources.responses import Responses
from tracker.sources.source import Source
from tracker.sources.stream_events import Shown
from tracker.stream_observing import StreamObserver
from tracker.webhooks import Hint, hint_in, verify

Item = TypeVar("Item")
WEBHOOK_SECONDS = 10.0
_SPEAKERS: dict[str, type[Any]] = {"response": Responses, "thread.run": Assistants}


class Receiving(ABC):
    """What a tracker is sent. Each raises SettingsError unless it is open."""

    @abstractmethod
    def _entered(self) -> Opened:
        """What the tracker is made of while it is open."""

    def observe(
        self,
        payload: Mapping[str, Any] | bytes | str,
        *,
        source: str | None = None,
        observed_at: datetime | None = None,
    ) -> list[Event]:
        """Records a run object, or an event of a stream; gives the events that it added.

        Returns when they are durable. `observed_at` is when the service answered so, where that
        is known; without it the document counts as of unknown age. From another thread than the
        tracker's it may be called too. Where no source is named, its shape tells which of several
        it is of. An event of a stream that shows neither a run nor a step adds nothing. Raises
        PayloadError where it is not a run, SettingsError where its shape does not tell.
        """
        return self._entered().observe(payload, source, observed_at)

    async def webhook(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        secret: str | Sequence[str],
        source: str | None = None,
        timeout: float = WEBHOOK_SECONDS,
    ) -> RunState | None:
        """Takes in a webhook with a signature of Standard Webhooks; gives the state of its run.

        `body` is the body as it came, `secret` that of the endpoint (`whsec_…`), or several while
        one takes the place of another. A run that is in it is recorded. One that it only names,
        as OpenAI's do, is asked about at once, in the rate of its source, and watched until it
        ends; this returns when what the webhook tells of is durable. None where it is about no
        run.

        Raises WebhookRefused for one that is not to be believed, WebhookReplayed for one that was
        taken in within the last minutes, and that alone is to be answered as a success. After
        whatever else it raises it may come again: WaitTimeout after so many seconds, the
        SourceError that keeps the run from being asked about, PayloadError where it is no JSON
        object, SettingsError where the tracker cannot tell which source the run is of.
        """
        opened = self._entered()
        webhook = verify(body, headers, secret, opened.clock.now())
        async with opened.arrivals.once(webhook, opened.clock.now()):
            return await _taken_in(opened, decoded(body), source, timeout)

    async def observing(
        self, stream: AsyncIterable[Item], *, source: str | None = None
    ) -> AsyncIterator[Item]:
        """Gives what a stream gives, unchanged, and records what it shows of runs and steps.

        Items are the bytes of server-sent events, in any pieces, or their lines as texts, or the
        events that a client package made of them. What an event shows is durable before the item
        that completes it is passed on, and its run is watched: if the stream breaks, it is polled
        on. What cannot be read is passed on all the same, and logged. Raises SettingsError where
        the tracker cannot tell which source the runs are of.
        """
        observer = StreamObserver(self._entered, source)
        async for item in stream:
            if shown := observer.read(item):
                await observer.record(shown)
            yield item


async def _taken_in(
    opened: Opened, payload: Mapping[str, Any], source: str | None, timeout: float
) -> RunState | None:
    body = _run_in(opened, payload, source)
    if body is not None:
        now = opened.clock.now()
        return await opened.take_in(sighting(opened.sources, Shown("run", body), source, now))
    hint = hint_in(payload)
    if hint is None:
        return None
    return await opened.heed(_origin(opened, hint, source), hint, timeout)


def _run_in(
    opened: Opened, payload: Mapping[str, Any], source: str | None
) -> Mapping[str, Any] | None:
    """The whole run that a webhook has in it, if it has one."""
    sources = [*opened.sources.values()] if source is None else [opened.sources.named(source)]
    for body in (payload, payload.get("data"), payload.get("response")):
        if not isinstance(body, Mapping) or "status" not in body:
            continue
        if any(each.recognises(body) for each in sources):
            return body
    return None


def _origin(opened: Opened, hint: Hint, source: str | None) -> Source:
    known = tuple(_SPEAKERS.values())
    if source is None and any(isinstance(each, known) for each in opened.sources.values()):
        source = opened.sources.only(_SPEAKERS[hint.kind], "source='…'")
    return opened.sources.named(source)
