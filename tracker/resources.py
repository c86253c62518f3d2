"""The resources of a tracker's sources, captured: each by the source, or the only one of it."""

from __future__ import annotations

from tracker.capture import CapturedRuns
from tracker.opened import Opened
from tracker.response_capture import CapturedResponses
from tracker.sources.assistants import Assistants
from tracker.sources.directory import Directory
from tracker.sources.responses import Responses


class Resources:
    """What a tracker captures. Each raises SettingsError unless it is open and has the source."""

    _sources: Directory

    def _entered(self) -> Opened:
        raise NotImplementedError

    @property
    def runs(self) -> CapturedRuns:
        """The Assistants resource of the only such source, captured. See also `runs_of`."""
        return self.runs_of(self._sources.only(Assistants, "runs_of"))

    def runs_of(self, name: str) -> CapturedRuns:
        """The Assistants resource of the source of that name, captured."""
        opened, api = self._entered(), self._sources.speaking(Assistants, name)
        return CapturedRuns(api, opened.batching, opened.poller, self._entered)

    @property
    def responses(self) -> CapturedResponses:
        """The Responses resource of the only such source, captured. See also `responses_of`."""
        return self.responses_of(self._sources.only(Responses, "responses_of"))

    def responses_of(self, name: str) -> CapturedResponses:
        """The Responses resource of the source of that name, captured."""
        opened, api = self._entered(), self._sources.speaking(Responses, name)
        return CapturedResponses(api, opened.batching, opened.poller, self._entered)
