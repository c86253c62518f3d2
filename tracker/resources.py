"""What a tracker's sources have: their resources, captured, and what is there already."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tracker.backfilling import Backfilled, backfill
from tracker.capture import CapturedRuns
from tracker.capturing import Capturing
from tracker.client_hooks import Client, hook_up
from tracker.opened import Opened
from tracker.response_capture import CapturedResponses
from tracker.sources.assistants import Assistants
from tracker.sources.directory import Directory
from tracker.sources.responses import Responses


class Resources(ABC):
    """What a tracker captures, and catches up on.

    Each raises SettingsError unless it is open and has the source.
    """

    _sources: Directory
    _capturing: Capturing | None = None

    @abstractmethod
    def _entered(self) -> Opened:
        """What the tracker is made of while it is open."""

    @property
    def runs(self) -> CapturedRuns:
        """The Assistants resource of the only such source, captured. See also `runs_of`."""
        return self.runs_of(self._sources.only(Assistants, "runs_of(name)"))

    def runs_of(self, name: str) -> CapturedRuns:
        """The Assistants resource of the source of that name, captured."""
        opened, api = self._entered(), self._sources.speaking(Assistants, name)
        return CapturedRuns(api, opened.batching, opened.poller, self._entered)

    @property
    def responses(self) -> CapturedResponses:
        """The Responses resource of the only such source, captured. See also `responses_of`."""
        return self.responses_of(self._sources.only(Responses, "responses_of(name)"))

    def responses_of(self, name: str) -> CapturedResponses:
        """The Responses resource of the source of that name, captured."""
        opened, api = self._entered(), self._sources.speaking(Responses, name)
        return CapturedResponses(api, opened.batching, opened.poller, self._entered)

    def capture(self, client: Client, source: str | None = None) -> Client:
        """Has the calls of a client recorded as those of `runs` and `responses` are; gives it back.

        The client is of httpx or of the `openai` package, async or not: what it asks of a source
        is captured, at the `base_url` that the source has, from now on and whenever the tracker
        is open. Hooks are added to its HTTP client, which clients made from it (`with_options`)
        share; all else stays. A call returns once its answer is recorded, or a second later. It
        never fails for the tracker: what is not recorded is logged, once for each kind of trouble.
        Streams of events are not captured, and neither are responses that are not made in the
        background. `source` says which, where several are at one address.

        Raises SettingsError for what is no such client, and where no source has these calls.
        """
        if self._capturing is None:
            self._capturing = Capturing(self._sources, self._entered)
        return hook_up(client, self._capturing, source)

    async def backfill(
        self,
        thread_id: str,
        source: str | None = None,
        *,
        steps: bool = True,
        watch: bool = True,
    ) -> Backfilled:
        """Records all runs of a thread as they are now, and the `steps` of those that have ended.

        Runs that have not ended are watched from here on, unless `watch` is false. It waits its
        turn behind the polls, in the rate of the source, and tries again what does not come
        through, for as long as the service says with 429 that it should. Where it is cut short,
        call it again: what is recorded adds nothing, and the steps of a run that has some
        recorded since its end are not asked for again.

        Raises SettingsError for a source that cannot list them, NotFound for a thread that the
        service does not know, and the SourceError that keeps it from going on.
        """
        return await backfill(self._entered(), thread_id, source, steps=steps, watch=watch)
