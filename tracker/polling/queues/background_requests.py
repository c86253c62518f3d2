"""The kinds of background requests, as they wait in their queues."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracker.core.snapshot import StepSnapshot
from tracker.polling.queues.background_queue import BackgroundRequest

INTERVAL_SECONDS = 10.0
PAGE_LIMIT = 100


@dataclass(eq=False, slots=True)
class StepsRequest(BackgroundRequest):
    """The reading of one run's steps: those `seen` so far, up to the step `after`.

    `again` where the run has changed since it was asked. `hides_pause` where it may have waited
    for an action while nobody looked. `old` counts the lists that were from before the run's
    end, of which those steps are `kept` that had ended.
    """

    thread_id: str = ""
    run_id: str = ""
    after: str | None = None
    pages: int = 0
    seen: list[StepSnapshot] = field(default_factory=list)
    again: bool = False
    hides_pause: bool = False
    old: int = 0
    kept: dict[str, StepSnapshot] = field(default_factory=dict)

    def begin(self) -> None:
        """Forgets what was seen, to read from the first step on."""
        self.after, self.pages, self.seen, self.again = None, 0, [], False


@dataclass(eq=False, slots=True)
class UsageRecheck(BackgroundRequest):
    """The looks at a run that `ended` at a monotonic moment, `reached` so many seconds after it.

    `body` is the last answer about it.
    """

    thread_id: str = ""
    ended: float = 0.0
    reached: float = 0.0
    body: bytes | None = None


@dataclass(eq=False, slots=True)
class DiscoveryRequest(BackgroundRequest):
    """The looking at a thread, whose id is the key, `every` so many seconds.

    Its first look is at a long page. `ended` has the runs of the last page that have ended, so
    that they need not be read again.
    """

    every: float = INTERVAL_SECONDS
    limit: int = PAGE_LIMIT
    is_first: bool = True
    ended: frozenset[str] = field(default_factory=frozenset)
