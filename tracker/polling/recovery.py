"""Takes up what an earlier tracker left: the runs that have not ended, and steps not read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from tracker.core.state import RunState
from tracker.polling.poller import Poller
from tracker.recording.pending_runs import Pending
from tracker.sources.source import Source

logger = logging.getLogger("runfold")

SPREAD_SECONDS = 5.0


def resume(poller: Poller, sources: Mapping[str, Source], left: Pending) -> None:
    """Watches again the runs of `sources`, and has the steps of those that ended read.

    Their first polls are spread over as long as the source takes for them all.
    """
    known = [s for s in left.open if s.source in sources and not s.vanished]
    runs, number = Counter(state.source for state in known), Counter[str]()
    for state in known:
        source, name = sources[state.source], state.source
        spread = max(SPREAD_SECONDS, runs[name] / poller.standing(source).rate)
        after = spread * number[name] / runs[name]
        number[name] += 1
        poller.watch(source, state.thread_id or "", state.run_id, state=state, after=after)
    if known:
        logger.info("watching %d runs again that had not ended", len(known))
    take_up_ended(poller, sources, left.stepless)


def take_up_ended(poller: Poller, sources: Mapping[str, Source], ended: Iterable[RunState]) -> None:
    """Has what is still to be learnt of runs of `sources` asked that ended a while ago."""
    for state in ended:
        if state.source in sources:
            poller.ended(sources[state.source], state.thread_id or "", state)
