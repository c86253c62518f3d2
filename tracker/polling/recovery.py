"""Resumes the pending work of an earlier tracker: open runs, and ended runs without steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from tracker.core.state import RunState
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.pending_runs import Pending
from tracker.sources.source import Source

logger = logging.getLogger("runfold")

SPREAD_SECONDS = 5.0


def resume(
    watch_list: WatchList, updates: RunUpdates, sources: Mapping[str, Source], pending: Pending
) -> None:
    """Watches the open runs of `sources` again, and queues the requests for ended runs.

    The first polls are spread over the time that the source's rate takes for all of them.
    """
    known = [s for s in pending.open if s.source in sources and not s.vanished]
    runs, number = Counter(state.source for state in known), Counter[str]()
    for state in known:
        source, name = sources[state.source], state.source
        spread = max(SPREAD_SECONDS, runs[name] / watch_list.dispatcher(source).limit.rate)
        after = spread * number[name] / runs[name]
        number[name] += 1
        watch_list.watch(source, state.thread_id, state.run_id, state=state, after=after)
    if known:
        logger.info("resuming %d open runs", len(known))
    resume_ended_runs(updates, sources, pending.without_steps)


def resume_ended_runs(
    updates: RunUpdates, sources: Mapping[str, Source], ended: Iterable[RunState]
) -> None:
    """Queues step reads and usage re-checks for runs of `sources` that ended a while ago."""
    for state in ended:
        if state.source in sources:
            updates.on_ended(sources[state.source], state.thread_id, state)
