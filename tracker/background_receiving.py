"""What a tracker is sent, for code without an event loop: the same calls, which block."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.receiving import WEBHOOK_SECONDS, Receiving
from tracker.stream_observing import StreamObserver

Item = TypeVar("Item")
Result = TypeVar("Result")


class BackgroundReceiving(ABC):
    """What `Receiving` has, each call of which returns when it is done. Raises what those raise."""

    _tracker: Receiving

    @abstractmethod
    def _call(
        self, work: Callable[[], Coroutine[Any, Any, Result]], *, may_last: bool = False
    ) -> Result:
        """Runs `work` on the tracker's loop and gives what comes of it."""

    def observe(
        self,
        payload: Mapping[str, Any] | bytes | str,
        *,
        source: str | None = None,
        observed_at: datetime | None = None,
    ) -> list[Event]:
        """Records a run object, or an event of a stream; gives the events that it added.

        Returns when they are durable. Raises as `Tracker.observe` does.
        """
        return self._call(
            lambda: asyncio.to_thread(
                self._tracker.observe, payload, source=source, observed_at=observed_at
            )
        )

    def webhook(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        secret: str | Sequence[str],
        source: str | None = None,
        timeout: float = WEBHOOK_SECONDS,
    ) -> RunState | None:
        """Takes in a webhook, and gives the state of its run; see `Tracker.webhook`."""
        return self._call(
            lambda: self._tracker.webhook(
                body, headers, secret=secret, source=source, timeout=timeout
            ),
            may_last=True,
        )

    def observing(self, stream: Iterable[Item], *, source: str | None = None) -> Iterator[Item]:
        """Gives what a stream gives, and records what it shows; see `Tracker.observing`."""

        async def begun() -> StreamObserver:
            return StreamObserver(self._tracker._entered, source)

        observer = self._call(begun)
        for item in stream:
            # Of many, few show anything: the others cost no call.
            if shown := observer.read(item):
                self._record(observer, shown)
            yield item

    def _record(self, observer: StreamObserver, shown: list[Any]) -> None:
        self._call(lambda: observer.record(shown))
