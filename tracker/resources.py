"""What a tracker's sources have: their resources, captured, and what is there already."""

from __future__ import annotations

from tracker.backfilling import Backfilled, backfill
from tracker.capture import CapturedRuns
from tracker.opened import Opened
from tracker.response_capture import CapturedResponses
from tracker.sources.assistants import Assistants
from tracker.sources.directory import Directory
from tracker.sources.responses import Responses


class Resources:
    """What a tracker captures, and catches up on.

    Each raises SettingsError unless it is open and has the source.
    """

    _sources: Directory

    def _entered(self) -> Opened:
        raise NotImplementedError

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
