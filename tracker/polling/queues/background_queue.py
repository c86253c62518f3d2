"""Background requests: requests that can wait until no poll is due, and their queues."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Generic, TypeVar

from tracker.errors import RunfoldError
from tracker.polling.policy import rate_limiter
from tracker.sources.source import Source

# After this time in the queue, a request has its full reserved share. The backlog of step reads is
# what ends in it.
_FULL_RESERVE_SECONDS = 20.0
# Places of requests that were moved or removed, until they are dropped.
_OBSOLETE_PLACES = 1024


@dataclass(eq=False, slots=True)
class BackgroundRequest:
    """A request that can wait; its `key` is unique in its queue."""

    source: Source
    key: str
    # Monotonic seconds.
    due: float = 0.0
    # False while it is being sent.
    is_waiting: bool = False
    # The service asked for it not to be sent before then; monotonic seconds.
    held_until: float = -math.inf
    # Failed tries in a row; a 429 is none.
    failures: int = 0
    # It is given up then; monotonic seconds.
    until: float = math.inf
    # A name of the kind for messages about a run.
    title: ClassVar[str] = "request"

    @property
    def subject(self) -> str:
        """The name by which its refusals (429) are counted."""
        return f"{type(self).__name__} {self.key}"


RequestT = TypeVar("RequestT", bound=BackgroundRequest)


class BackgroundQueue(Generic[RequestT]):
    """The background requests of one type and source, the longest due first, one for each key.

    They use `max_share` of the source's rate at most. While polls could use up the whole rate,
    the queue gets `reserved_share` of it, in full once a request has waited for 20 seconds.
    """

    def __init__(self, max_share: float, reserved_share: float) -> None:
        # Nothing is sent before this moment, if the service denied these requests.
        self.held_until = -math.inf
        self.denied: RunfoldError | None = None
        self._max_share = max_share
        self._reserved_share = reserved_share
        self._by_key: dict[str, RequestT] = {}
        self._heap: list[tuple[float, int, RequestT]] = []
        self._order = count()
        # Theoretical arrival times: by `max_share`, and of requests sent before polls.
        self._arrival, self._reserved_arrival = -math.inf, 0.0

    def __len__(self) -> int:
        """Returns the number of requests, including those that are being sent."""
        return len(self._by_key)

    @property
    def requests(self) -> list[RequestT]:
        """The requests that are not finished."""
        return list(self._by_key.values())

    def find(self, key: str) -> RequestT | None:
        """Returns the request with that key, if it is not finished."""
        return self._by_key.get(key)

    def add(self, request: RequestT, due: float) -> None:
        """Queues a request until it is due, or moves it there; one that is held waits for that."""
        self._by_key[request.key] = request
        due = max(due, request.held_until)
        request.due, request.is_waiting = due, True
        heapq.heappush(self._heap, (due, next(self._order), request))
        if len(self._heap) > 2 * len(self._by_key) + _OBSOLETE_PLACES:
            self._heap = [place for place in self._heap if not self._is_obsolete(place)]
            heapq.heapify(self._heap)

    def is_due(self, now: float) -> bool:
        """True if a request is due and the service did not deny them for now."""
        while self._heap and self._is_obsolete(self._heap[0]):
            heapq.heappop(self._heap)
        return bool(self._heap) and self._heap[0][0] <= now and now >= self.held_until

    def reserved_part(self, now: float) -> float:
        """Returns the part of the source's rate that polls leave to this queue now.

        Without it, requests would starve where polls could use up the rate. It grows while they
        wait, up to what they need and no further.
        """
        if not self.is_due(now):
            return 0.0
        waited = (now - self._heap[0][0]) / _FULL_RESERVE_SECONDS
        return self._reserved_share * min(waited, 1.0)

    def pop_due(self, now: float, rate: float, *, before_polls: bool = False) -> RequestT | None:
        """Removes and returns the request that is due; `rate` is that of the whole source.

        `before_polls` is true if polls are due too; they leave only the reserve.
        """
        pace = rate * self._max_share
        if (
            not self.is_due(now)
            or rate_limiter.delay(self._arrival, now, pace, rate_limiter.burst(pace)) > 0
        ):
            return None
        if before_polls:
            reserved = rate * self.reserved_part(now)
            if (now - self._reserved_arrival) * reserved < 1.0:
                return None
            # The next request makes up for a late tick, but for no more than that.
            earliest = max(self._reserved_arrival, now - 2.0 / reserved)
            self._reserved_arrival = earliest + 1.0 / reserved
        request = heapq.heappop(self._heap)[2]
        request.is_waiting = False
        self._arrival = rate_limiter.consume(self._arrival, now, rate * self._max_share)
        return request

    def remove(self, request: RequestT) -> None:
        """Removes a request: it is finished, or given up."""
        request.is_waiting = False
        if self._by_key.get(request.key) is request:
            del self._by_key[request.key]

    def _is_obsolete(self, place: tuple[float, int, RequestT]) -> bool:
        due, _, request = place
        return not request.is_waiting or request.due != due
