"""Evidence of boundaries made at random, and its tightest bounds by Floyd and Warshall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from hypothesis import strategies as st

from projections.folding.evidence import last_moment
from projections.folding.micros import SECOND
from projections.folding.network import Boundary

STATUSES = ("queued", "in_progress", "requires_action")


@dataclass(frozen=True)
class Network:
    """A line of evidence, with the truth behind it: moments by the service's clock."""

    line: tuple[Boundary, ...]
    moments: tuple[int, ...]
    ahead: int


@st.composite
def networks(draw: st.DrawFn, *, grain: int = SECOND, ahead: int = 40) -> Network:
    """Draws truthful evidence: stamps rounded down, and looks before and after."""
    offset = draw(st.integers(-ahead * grain, ahead * grain))
    number = draw(st.integers(2, 7))
    room = st.integers(0, 60 * grain)
    moments = sorted(draw(st.lists(room, min_size=number, max_size=number)))
    legs = st.integers(0, 2 * grain)
    line = []
    for moment in moments:
        stamp = moment // SECOND * SECOND if draw(st.integers(0, 9)) < 6 else None
        line.append(
            Boundary(
                draw(st.sampled_from(STATUSES)),
                -inf if stamp is None else stamp,
                inf if stamp is None else last_moment(stamp),
                moment - offset - draw(legs) if draw(st.integers(0, 9)) < 7 else -inf,
                moment - offset + draw(legs) if draw(st.integers(0, 9)) < 8 else inf,
            )
        )
    return Network(tuple(line), tuple(moments), offset)


def solve_by_paths(
    line: Sequence[Boundary], least_ahead: float, most_ahead: float
) -> list[list[float]] | None:
    """Returns by how much each node may be after each other, at most; None if that is impossible.

    The last two nodes are the beginnings of time by the service's clock and by ours.
    """
    service, ours, number = len(line), len(line) + 1, len(line) + 2
    most = [[0 if one == other else inf for other in range(number)] for one in range(number)]

    def limit(later: int, earlier: int, length: float) -> None:
        most[earlier][later] = min(most[earlier][later], length)

    for place, it in enumerate(line):
        limit(place, service, it.high)
        limit(service, place, -it.low)
        limit(place, ours, it.until)
        limit(ours, place, -it.after)
        if place:
            limit(place - 1, place, 0)
    limit(ours, service, most_ahead)
    limit(service, ours, -least_ahead)
    for via in range(number):
        for one in range(number):
            for other in range(number):
                length = most[one][via] + most[via][other]
                if length < most[one][other]:
                    most[one][other] = length
    return None if any(most[it][it] < 0 for it in range(number)) else most
