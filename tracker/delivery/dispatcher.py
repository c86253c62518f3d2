"""The calls of the handlers of one name: of the runs whose turn it is, so many at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from tracker.delivery.backlog import Backlog, PendingRun, UndeliveredRun
from tracker.delivery.caller import Call, HandlerCaller, find_error
from tracker.delivery.event_reader import EventReader
from tracker.delivery.handlers import CONCURRENCY, GIVE_UP_SECONDS, Handler, HandlerSet
from tracker.delivery.store_access import StoreAccess
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_handlers, of_run

logger = logging.getLogger("runfold.delivery")

STOP_SECONDS = 30.0
_LONGEST_ERROR = 1000


def retry_pause(attempts: int, jitter: float) -> float:
    """Returns the seconds until a handler is called again.

    `jitter`, from 0 to 1, shortens them by up to half.
    """
    return min(0.5 * 2.0 ** min(attempts - 1, 7), 60.0) * (1 - jitter / 2)


class Dispatcher:
    """Calls the handlers of the runs of a backlog, and has those that fail wait.

    `on_change` is called when something is to be stored, `on_parked` with the row of a run that is
    given up. `jitter` returns numbers from 0 to 1.
    """

    def __init__(
        self,
        handlers: HandlerSet,
        backlog: Backlog,
        reader: EventReader,
        access: StoreAccess,
        clock: Clock,
        jitter: Callable[[], float],
        on_change: Callable[[], None],
        on_parked: Callable[[UndeliveredRun], None],
    ) -> None:
        self._name, self._handlers, self._backlog = handlers.name, handlers, backlog
        self._reader, self._access, self._clock = reader, access, clock
        self._jitter, self._on_change, self._on_parked = jitter, on_change, on_parked
        self._free = concurrency = handlers.concurrency or CONCURRENCY
        self._give_up_after = handlers.give_up_after or GIVE_UP_SECONDS
        self._caller = HandlerCaller(handlers.name, concurrency)
        self._calls: set[Call] = set()
        # Calls whose time is over, but which have not ended.
        self._late: set[Call] = set()
        self._is_stopping = False

    @property
    def running(self) -> int:
        """The number of calls that are under way."""
        return len(self._calls)

    async def stop(self) -> None:
        """Lets calls that are under way finish, for half a minute, and starts no other."""
        self._is_stopping = True
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOP_SECONDS)
        if self._calls:
            logger.warning(
                "the handler %r has not finished in %.0f s: its event will be delivered again",
                self._name,
                STOP_SECONDS,
                extra=of_handlers(self._name),
            )

    def close(self) -> None:
        """Cancels the calls that have not finished."""
        for call in list(self._calls):
            call.cancel()
        self._caller.close()

    def dispatch(self) -> None:
        """Starts the handlers whose turn it is."""
        while self._free > 0 and not self._is_stopping:
            run = self._backlog.take()
            if run is None:
                return
            self._free -= 1
            if run.is_loaded:
                self._call(run)
            else:
                self._track(asyncio.create_task(self._load(run)), lambda _: None)

    def _track(self, call: Call, on_end: Callable[[Call], None]) -> None:
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(on_end)

    async def _load(self, run: PendingRun) -> None:
        """Reads the events of a run that was held up, and calls the handler with the first one."""
        known = self._backlog.find_known(run.shard)
        self._backlog.prepare_loading(run)
        try:
            deliveries = await self._access.run(
                self._reader.read_run, run.stream, run.version, known
            )
        except Exception as error:
            self._free += 1
            self._on_failure(run, error)
            return
        if self._backlog.runs.get(run.stream) is not run:
            self._free += 1
            self._backlog.release(run.stream)
        elif self._backlog.load(run, deliveries):
            self._call(run)
            return
        else:
            self._free += 1
            self._on_change()
        self.dispatch()

    def _call(self, run: PendingRun) -> None:
        """Calls the next handler with the first event of a run."""
        delivery = run.deliveries[0]
        handlers = self._handlers.select(delivery.event)
        if run.handlers_done >= len(handlers):
            self._backlog.acknowledge(run)
            self._free += 1
            self._on_change()
            return
        handler = handlers[run.handlers_done]
        call = self._caller.start(handler, delivery)
        timer = None
        if self._handlers.timeout is not None:
            timer = asyncio.get_running_loop().call_later(
                self._handlers.timeout, self._on_timeout, run, handler, call
            )
        self._track(call, partial(self._on_end, run, len(handlers), timer))

    def _on_timeout(self, run: PendingRun, handler: Handler, call: Call) -> None:
        """Counts a call that takes too long as failed, and gives its place to another one."""
        if call.done():
            return
        self._late.add(call)
        self._free += 1
        if self._backlog.runs.get(run.stream) is run:
            error = TimeoutError(f"the handler has not finished in {self._handlers.timeout:g} s")
            self._note_failure(run, error)
        self._caller.abandon(handler, call)
        self.dispatch()

    def _on_end(
        self,
        run: PendingRun,
        handlers: int,
        timer: asyncio.TimerHandle | None,
        call: Call,
    ) -> None:
        if timer is not None:
            timer.cancel()
        error, is_late = find_error(call), call in self._late
        self._late.discard(call)
        if not is_late:
            self._free += 1
        if self._backlog.runs.get(run.stream) is not run:
            # The run was lost meanwhile: another process delivers its event again.
            self._backlog.release(run.stream)
        elif error is None:
            run.handlers_done += 1
            if run.handlers_done < handlers and not self._is_stopping and not is_late:
                self._free -= 1
                self._call(run)
                return
            if run.handlers_done < handlers:
                self._hold_back(run)
            else:
                self._backlog.acknowledge(run)
                self._on_change()
        elif is_late:
            self._hold_back(run)
        elif not self._is_stopping or not call.cancelled():
            self._on_failure(run, error)
        self.dispatch()

    def _on_failure(self, run: PendingRun, error: BaseException) -> None:
        self._note_failure(run, error)
        self._hold_back(run)

    def _note_failure(self, run: PendingRun, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        self._backlog.fail(run, error, text, self._clock.now().timestamp())

    def _hold_back(self, run: PendingRun) -> None:
        """Has a run that failed wait for its next attempt, or parks it."""
        now, since = self._clock.now().timestamp(), run.failing_since
        lasts = 0.0 if since is None else now - since
        is_over = lasts >= self._give_up_after
        extra = of_run(run.stream) | of_handlers(self._name)
        if is_over:
            logger.error(
                "%s: parked after %d failures of the handler %r at position %d, within %.0f s; "
                "cure: runfold deliveries retry %s",
                *(run.stream, run.attempts, self._name, run.position, lasts),
                run.stream.partition(":")[2],
                exc_info=run.error,
                extra=extra,
            )
            self._on_parked(run.make_row())
        elif run.error is not None:
            pause = retry_pause(run.attempts, self._jitter())
            # One that would come after its time is over comes when it is over.
            pause = min(pause, max(self._give_up_after - lasts, 0.0) + 0.01)
            logger.warning(
                "%s: the handler %r raised at position %d, and is called again in %.1f s",
                *(run.stream, self._name, run.position, pause),
                exc_info=run.error,
                extra=extra,
            )
            asyncio.get_running_loop().call_later(pause, self._retry, run)
        else:
            asyncio.get_running_loop().call_soon(self._retry, run)
        self._backlog.hold_back(run, park=is_over)
        self._on_change()

    def _retry(self, run: PendingRun) -> None:
        self._backlog.retry(run)
        self.dispatch()
