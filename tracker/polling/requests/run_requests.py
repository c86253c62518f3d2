"""The parts that requests about runs have in common."""

from __future__ import annotations

from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.runtime.clock import Clock


class RunRequests:
    """Requests whose answers show runs: recorded, applied to the watched runs, and rescheduled."""

    def __init__(
        self,
        watch_list: WatchList,
        updates: RunUpdates,
        commits: GroupCommit,
        clock: Clock,
        error_policy: ErrorPolicy,
    ) -> None:
        self._watch_list = watch_list
        self._updates = updates
        self._commits = commits
        self._clock = clock
        self._error_policy = error_policy
