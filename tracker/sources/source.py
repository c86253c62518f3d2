"""What the poller needs of a service, whichever API it speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import RunState
from tracker.sources.answer import Answer

# After the end of a run, where nobody says how long its service takes to count what it used.
SETTLING_SECONDS = (10.0, 60.0, 600.0)


class Source(Protocol):
    """A service that can be asked about runs, and the reading of what it says."""

    @property
    def name(self) -> str:
        """What its runs are filed under; it is the `source` of every snapshot."""
        ...

    async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
        """The service's answer about one run, whole and the one asked for, but not yet read.

        `thread_id` is empty where nobody said it, or the service has no threads. `known` is the
        body of an earlier answer: the same again need not be checked.

        Raises SourceError: PollAgain where a later try may do, else StopPolling.
        """
        ...

    def glance(self, body: bytes) -> object:
        """What is tracked of a body, raw, to be compared with `==`; cheap.

        The second of two bodies with equal glances shows nothing new, and is not read further.

        Raises PayloadError where it is not a run.
        """
        ...

    def snapshot(
        self,
        body: bytes | Mapping[str, Any],
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        """A body as a snapshot, the moments handed on. Raises PayloadError where it is not a run.

        The statuses of `tracker.core.status` have a meaning; any other is kept, and is active.
        """
        ...

    def recognises(self, body: Mapping[str, Any]) -> bool:
        """Whether a document of unknown origin has this API's shape of a run, and no other's."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


@runtime_checkable
class PageSource(Protocol):
    """A source that can show many runs of a thread in one answer."""

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        """The newest runs of a thread, at most `limit`, each as a body that `snapshot` takes.

        Each has its id under `id`, whatever the service calls it.

        Raises SourceError as `fetch` does.
        """
        ...


@runtime_checkable
class RunListSource(Protocol):
    """A source that can show all runs of a thread, page by page."""

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """A page of a thread's runs, each as a body that `snapshot` takes, its id under `id`.

        With it comes where to go on `after`, None on the last page. The oldest come first where
        the service has that order, so that runs which begin meanwhile move no page. Raises
        SourceError as `fetch` does.
        """
        ...


@runtime_checkable
class StepSource(Protocol):
    """A source that can show what a run did, step by step."""

    async def fetch_steps(
        self, thread_id: str, run_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """A page of a run's steps, the oldest first, each as a body that `steps_snapshot` takes.

        With it comes where to go on `after`, None on the last page. Raises SourceError as
        `fetch` does.
        """
        ...

    def steps_snapshot(self, body: bytes | Mapping[str, Any]) -> StepSnapshot:
        """A step as a snapshot. Raises PayloadError where it is not a step."""
        ...


@runtime_checkable
class SettlingSource(Protocol):
    """A source whose service may tell what a run used, or correct it, after the run has ended."""

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        """How many seconds after its end to ask about a run again that has come to this state.

        It is asked after each look too, so that nothing more is asked once there is a usage that
        stays.
        """
        ...
