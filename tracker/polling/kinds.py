"""What is learned of the runs of one source, by their kind."""

from __future__ import annotations

from tracker.core.state import RunState
from tracker.polling.hazards import Counts, Curve, learned, prior

REFRESH_SECONDS = 5.0


class Kind:
    """What is known of the runs of one assistant and model that work, or that wait for an action.

    Its `curve` was `drawn` at a moment, when its counts were `pooled` with those of the others.
    """

    __slots__ = ("counts", "curve", "drawn", "pooled", "waits")

    def __init__(self, curve: Curve, now: float, *, waits: bool) -> None:
        self.counts = Counts()
        self.pooled = Counts()
        self.curve = curve
        self.drawn = now
        self.waits = waits


class Kinds:
    """The kinds of runs of one source, and what those that work, or wait, have in common."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str | None, str | None, bool], Kind] = {}
        self._pools = {False: Counts(), True: Counts()}
        self._unknown: Kind | None = None

    def of(self, state: RunState, now: float) -> Kind:
        """The kind of a run in a state."""
        key = (state.assistant_id, state.model, state.needs_action)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._new(now, waits=state.needs_action)
        return kind

    def unknown(self, now: float) -> Kind:
        """What to expect of a run of which nothing is known but that it has begun."""
        if self._unknown is None:
            self._unknown = self._new(now, waits=False)
        return self._unknown

    def refresh(self, kind: Kind, now: float) -> None:
        """Draws the curve of a kind anew from what was counted since."""
        pool = self._pools[kind.waits]
        kind.counts.pour(pool, kind.pooled)
        kind.curve = Curve(learned(kind.counts, prior(pool)))
        kind.drawn = now

    def _new(self, now: float, *, waits: bool) -> Kind:
        return Kind(Curve(learned(Counts(), prior(self._pools[waits]))), now, waits=waits)
