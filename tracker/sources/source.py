"""The protocols of a source: what the poller asks of a service, whichever API it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import RunState
from tracker.sources.answer import Answer

# Seconds after the end of a run, for services that do not say when its usage is final.
SETTLING_SECONDS = (10.0, 60.0, 600.0)


class Source(Protocol):
    """A service that can be asked about runs, and the reading of its answers."""

    @property
    def name(self) -> str:
        """The `source` of its runs and of every snapshot."""
        ...

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Returns the service's answer about one run, complete and checked, but not decoded.

        `thread_id` is None if it is not known, or the service has no threads. `known` is the
        body of an earlier answer: an equal body need not be checked again.

        Raises SourceError: PollAgain if a later attempt may succeed, else StopPolling.
        """
        ...

    def glance(self, body: bytes) -> object:
        """Returns the tracked fields of a body as sent, to be compared with `==`; cheap.

        A body with the same glance as the one before shows nothing new, and is not read further.

        Raises PayloadError for a body that is not a run.
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
        """Returns a body as a snapshot with these times. Raises PayloadError if it is not a run.

        The statuses of `tracker.core.status` have a meaning; any other is kept, and is active.
        """
        ...

    def recognises(self, body: Mapping[str, Any]) -> bool:
        """True if a document of unknown origin is a run of this API, and of no other."""
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
        """Returns the newest runs of a thread, at most `limit`, each as a body for `snapshot`.

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
        """Returns a page of a thread's runs, each as a body for `snapshot`, its id under `id`.

        The third value is the `after` of the next page, None on the last one. The oldest come
        first if the service has that order, so that runs created meanwhile do not move pages.
        Raises SourceError as `fetch` does.
        """
        ...


@runtime_checkable
class StepSource(Protocol):
    """A source that can show the steps of a run."""

    async def fetch_steps(
        self, thread_id: str | None, run_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Returns a page of a run's steps, the oldest first, each as a body for `steps_snapshot`.

        The third value is the `after` of the next page, None on the last one. Raises SourceError
        as `fetch` does.
        """
        ...

    def steps_snapshot(self, body: bytes | Mapping[str, Any]) -> StepSnapshot:
        """Returns a step as a snapshot. Raises PayloadError if it is not a step."""
        ...


@runtime_checkable
class UndecidedSource(Protocol):
    """A source with documents that do not tell whether their run is done, as its answers do."""

    def is_undecided(self, body: Mapping[str, Any]) -> bool:
        """True for such a document, for which the service is asked about its run."""
        ...


@runtime_checkable
class CheckingSource(Protocol):
    """A source that knows of some runs at once that the service can never be asked about."""

    def check_ids(self, thread_id: str | None, run_id: str) -> None:
        """Raises SettingsError, with the cure, for such a run."""
        ...


@runtime_checkable
class SettlingSource(Protocol):
    """A source that may report or correct the usage of a run after the run has ended."""

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        """Returns the seconds after its end at which to ask again about a run in this state.

        Called again after each of these requests, so that they stop once the usage is final.
        """
        ...
