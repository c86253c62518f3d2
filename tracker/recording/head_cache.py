"""The heads of streams that were used last."""

from __future__ import annotations

from typing import NamedTuple

from tracker.core.recent_dict import RecentDict
from tracker.core.state import RunState


class Head(NamedTuple):
    """The version of a stream, and the state of its run."""

    version: int
    state: RunState


class HeadCache:
    """The heads of runs used last, `open_runs` of those that go on and `ended_runs` of the others.

    A head takes about 3 kB. An open run is observed again and again; one that has ended seldom,
    and its few events are then read again.
    """

    def __init__(self, open_runs: int, ended_runs: int) -> None:
        self._open: RecentDict[str, Head] = RecentDict(open_runs)
        self._ended: RecentDict[str, Head] = RecentDict(ended_runs)

    def __len__(self) -> int:
        return len(self._open) + len(self._ended)

    def get(self, stream: str) -> Head | None:
        """Returns the head of a stream, None if it is not kept."""
        return self._open.get(stream) or self._ended.get(stream)

    def put(self, stream: str, head: Head) -> None:
        """Keeps the head of a stream in place of an earlier one."""
        self.pop(stream)
        (self._ended if head.state.is_ended else self._open).put(stream, head)

    def pop(self, stream: str) -> None:
        """Drops the head of a stream, if it is kept."""
        self._open.pop(stream)
        self._ended.pop(stream)
