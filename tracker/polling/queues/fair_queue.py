"""A queue of due polls that is fair to threads when more are due than may be sent."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import chain, count
from math import inf

from tracker.polling.watched_run import WatchedRun

_PART_OF_ONE_THREAD = 0.25
_MIN_PAID_ENTRIES = 1024


# The time at which a run was due, and a number that keeps runs of one time in order of arrival.
_Place = tuple[float, int, WatchedRun]


class FairQueue:
    """The runs of one source whose poll is due, the longest due first.

    A thread gets a quarter of the rate while other runs wait. Runs without a thread are not
    limited.
    """

    def __init__(self) -> None:
        # In order of `due`, as runs leave the timer wheel. Runs that arrive out of order are in a
        # heap, which is slower the more there are.
        self._queue: deque[WatchedRun] = deque()
        self._last_due = -inf
        self._late: list[_Place] = []
        # The runs of threads that have used up their part, and until when each thread has.
        self._held: dict[str, list[_Place]] = {}
        self._paid: dict[str, float] = {}
        self._max_paid_entries = _MIN_PAID_ENTRIES
        self._order = count()

    def __bool__(self) -> bool:
        """True if there may be queued runs."""
        return bool(self._queue or self._late or self._held)

    @property
    def run_count(self) -> int:
        """The number of queued runs."""
        late = chain(self._late, *self._held.values())
        places = chain(self._queue, (watched for _, _, watched in late))
        # A run that was moved has left its old place behind.
        return len({watched for watched in places if watched.queued})

    def add(self, watched: WatchedRun) -> None:
        """Queues a run; one that was refused keeps its old place by its `due`."""
        watched.queued = True
        if watched.due >= self._last_due or not self._queue:
            self._last_due = watched.due
            self._queue.append(watched)
        else:
            heapq.heappush(self._late, self._place(watched))

    def pop(self, now: float, rate: float, most: int) -> Iterator[WatchedRun]:
        """Removes and yields the next runs, at most `most`; `rate` is that of the whole source.

        Skips runs that were taken out of the queue meanwhile (`queued` is false).
        """
        queue, late, held = self._queue, self._late, self._held
        if len(queue) <= most and not late and not held:
            # No run has to wait for another.
            self._paid.clear()
            while queue:
                watched = queue.popleft()
                if watched.queued:
                    watched.queued = False
                    yield watched
            return
        between = 1 / (_PART_OF_ONE_THREAD * rate)
        self._release(now, between)
        while most > 0 and (queue or late or held):
            may_wait = bool(queue or late)
            if may_wait:
                watched = self._next() if late else queue.popleft()
            else:
                # No other thread waits: one of these may use the rest of the rate.
                watched = self._next_of(min(held, key=lambda thread_id: held[thread_id][0]))
            if not watched.queued:
                continue
            thread_id = watched.thread_id
            if thread_id is not None:
                paid = self._paid.get(thread_id, now)
                if may_wait and paid - now > between:
                    heapq.heappush(held.setdefault(thread_id, []), self._place(watched))
                    continue
            watched.queued = False
            if thread_id is not None:
                self._pay(thread_id, paid if paid > now else now, now, between)
            most -= 1
            yield watched

    def _place(self, watched: WatchedRun) -> _Place:
        return watched.due, next(self._order), watched

    def _next(self) -> WatchedRun:
        queue, late = self._queue, self._late
        # A run that was moved is due at another time than it was queued for.
        while queue and not queue[0].queued:
            queue.popleft()
        return queue.popleft() if queue and queue[0].due < late[0][0] else heapq.heappop(late)[2]

    def _next_of(self, thread_id: str) -> WatchedRun:
        places = self._held[thread_id]
        watched = heapq.heappop(places)[2]
        if not places:
            del self._held[thread_id]
        return watched

    def _release(self, now: float, between: float) -> None:
        """Queues the first run of each held thread that may continue; the next follows it."""
        for thread_id in list(self._held):
            if self._paid.get(thread_id, now) - now <= between:
                heapq.heappush(self._late, self._place(self._next_of(thread_id)))

    def _pay(self, thread_id: str, paid: float, now: float, between: float) -> None:
        """Charges a thread for a request: two at once, and then one each `between` seconds."""
        if not self._queue and not self:
            self._paid.clear()
            return
        self._paid[thread_id] = paid = paid + between
        if self._held and paid - now <= between and thread_id in self._held:
            heapq.heappush(self._late, self._place(self._next_of(thread_id)))
        if len(self._paid) > self._max_paid_entries:
            self._paid = {thread: until for thread, until in self._paid.items() if until > now}
            self._max_paid_entries = 2 * len(self._paid) + _MIN_PAID_ENTRIES
