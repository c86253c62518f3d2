"""The records of background requests, as they wait in their queues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from tracker.core.snapshot import StepSnapshot
from tracker.errors import RunfoldError
from tracker.polling.queues.background_queue import BackgroundRequest

INTERVAL_SECONDS = 10.0
# Runs on one page of a thread.
PAGE_LIMIT = 100
# Thousands of runs may wait for a re-check, so a longer answer is read in full again.
_MAX_BODY_BYTES = 4_096


@dataclass(eq=False, slots=True)
class StepsRequest(BackgroundRequest):
    """The reading of one run's steps, page by page; its key is the run's id."""

    title: ClassVar[str] = "reading of steps"

    thread_id: str | None = None
    # The steps so far, from so many pages, and the id after which the next page begins.
    steps: list[StepSnapshot] = field(default_factory=list)
    pages: int = 0
    after: str | None = None
    # True if the run changed while the steps were being read.
    read_again: bool = False
    # True if the steps may show a wait for an action that no poll saw.
    hides_pause: bool = False
    # Lists from before the run's end, and the steps in them that had ended.
    stale_lists: int = 0
    ended_steps: dict[str, StepSnapshot] = field(default_factory=dict)

    def restart(self) -> None:
        """Drops the steps so far, to read from the first step on."""
        self.after, self.pages, self.steps, self.read_again = None, 0, [], False


@dataclass(eq=False, slots=True)
class UsageRecheck(BackgroundRequest):
    """The polls of an ended run whose usage may still change; its key is the run's id."""

    title: ClassVar[str] = "re-check of usage"

    thread_id: str | None = None
    # The end of the run, in monotonic seconds.
    ended: float = 0.0
    # Seconds after the end of the next re-check, or of the last one.
    offset: float = 0.0
    # The last answer about the run, if it is short.
    body: bytes | None = None

    def keep(self, body: bytes | None) -> None:
        """Keeps the last answer about the run, to recognise an equal one, if it is short."""
        self.body = body if body is not None and len(body) <= _MAX_BODY_BYTES else None

    def advance(self, offsets: Iterable[float]) -> bool:
        """Moves on to the next of the source's offsets; False if there is none."""
        later = [offset for offset in offsets if offset > self.offset]
        if later:
            self.offset = min(later)
        return bool(later)


@dataclass(eq=False, slots=True, kw_only=True)
class SecondLook(BackgroundRequest):
    """The further looks at a run that was set aside; its key is the run's id."""

    thread_id: str | None
    # Why the run is not polled.
    error: RunfoldError
    # True if events of the run were recorded: without them it has been forgotten.
    is_recorded: bool
    looks: int = 0


@dataclass(eq=False, slots=True)
class DiscoveryRequest(BackgroundRequest):
    """The repeated listing of a thread's newest runs; its key is the thread's id."""

    # Seconds between two listings.
    every: float = INTERVAL_SECONDS
    # Runs on the next page; the first page is a long one.
    limit: int = PAGE_LIMIT
    is_first: bool = True
    # The ended runs of the last page, so that they are not recorded again.
    ended_ids: frozenset[str] = field(default_factory=frozenset)
