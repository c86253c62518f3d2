"""Which runs are due: a timer wheel, and the lines that form when more is due than may be asked."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import chain, count
from math import inf

from tracker.polling.watched_run import WatchedRun

_PART_OF_ONE_THREAD = 0.25
_PAID_AT_LEAST = 1024


# When a run was due, and a number that keeps those of one moment in the order they came in.
_Place = tuple[float, int, WatchedRun]


class FairQueue:
    """The runs of one source that are due, the longest due first.

    One thread gets a quarter of the rate while others wait.
    """

    def __init__(self) -> None:
        # In order, as runs come out of the wheel. Those that come late lie in a heap, which takes
        # longer the more there are.
        self._queue: deque[WatchedRun] = deque()
        self._last_due = -inf
        self._late: list[_Place] = []
        # The runs of threads that have had their part, and until when each has.
        self._held: dict[str, list[_Place]] = {}
        self._paid: dict[str, float] = {}
        self._paid_at_most = _PAID_AT_LEAST
        self._order = count()

    def __bool__(self) -> bool:
        """Whether there may be runs in line."""
        return bool(self._queue or self._late or self._held)

    @property
    def runs(self) -> int:
        """How many runs are in line."""
        late = chain(self._late, *self._held.values())
        everybody = chain(self._queue, (watched for _, _, watched in late))
        # One that was moved has left its old place behind.
        return len({watched for watched in everybody if watched.in_line})

    def add(self, watched: WatchedRun) -> None:
        """Puts a run in line; one that was refused gets its old place back by its `due`."""
        watched.in_line = True
        if watched.due >= self._last_due or not self._queue:
            self._last_due = watched.due
            self._queue.append(watched)
        else:
            heapq.heappush(self._late, self._place(watched))

    def take(self, now: float, rate: float, most: int) -> Iterator[WatchedRun]:
        """The runs to ask about next, at most so many; `rate` is what the whole source gets.

        One that was taken out of line before its turn is passed over.
        """
        queue, late, held = self._queue, self._late, self._held
        if len(queue) <= most and not late and not held:
            # Nobody has to wait for another.
            self._paid.clear()
            while queue:
                watched = queue.popleft()
                if watched.in_line:
                    watched.in_line = False
                    yield watched
            return
        between = 1 / (_PART_OF_ONE_THREAD * rate)
        self._let_go_on(now, between)
        while most > 0 and (queue or late or held):
            may_wait = bool(queue or late)
            if may_wait:
                watched = self._next() if late else queue.popleft()
            else:
                # Nobody else waits: one of them may have what the others leave.
                watched = self._next_of(min(held, key=lambda thread_id: held[thread_id][0]))
            if not watched.in_line:
                continue
            paid = self._paid.get(watched.thread_id, now)
            if may_wait and paid - now > between:
                heapq.heappush(held.setdefault(watched.thread_id, []), self._place(watched))
                continue
            watched.in_line = False
            self._pay(watched.thread_id, paid if paid > now else now, now, between)
            most -= 1
            yield watched

    def _place(self, watched: WatchedRun) -> _Place:
        return watched.due, next(self._order), watched

    def _next(self) -> WatchedRun:
        queue, late = self._queue, self._late
        # One that was moved is due at another moment than it was queued for.
        while queue and not queue[0].in_line:
            queue.popleft()
        return queue.popleft() if queue and queue[0].due <= late[0][0] else heapq.heappop(late)[2]

    def _next_of(self, thread_id: str) -> WatchedRun:
        places = self._held[thread_id]
        watched = heapq.heappop(places)[2]
        if not places:
            del self._held[thread_id]
        return watched

    def _let_go_on(self, now: float, between: float) -> None:
        """Puts the first of each thread in line that may go on; the next follows once it went."""
        for thread_id in list(self._held):
            if self._paid.get(thread_id, now) - now <= between:
                heapq.heappush(self._late, self._place(self._next_of(thread_id)))

    def _pay(self, thread_id: str, paid: float, now: float, between: float) -> None:
        """Has a thread pay for a request: two at once, and then one `between` seconds."""
        if not self._queue and not self:
            self._paid.clear()
            return
        self._paid[thread_id] = paid = paid + between
        if self._held and paid - now <= between and thread_id in self._held:
            heapq.heappush(self._late, self._place(self._next_of(thread_id)))
        if len(self._paid) > self._paid_at_most:
            self._paid = {thread: until for thread, until in self._paid.items() if until > now}
            self._paid_at_most = 2 * len(self._paid) + _PAID_AT_LEAST
