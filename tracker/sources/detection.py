"""The shapes that a document of unknown origin may have, and how each is read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tracker.core.snapshot import RunSnapshot
from tracker.sources.agents.snapshots import is_turn, turn_snapshot
from tracker.sources.assistants.snapshots import is_run, run_snapshot
from tracker.sources.langgraph.snapshots import graph_run_snapshot, is_graph_run
from tracker.sources.responses.snapshots import is_response, response_snapshot


class Shape(NamedTuple):
    """One API's shape of a run. `name` is what its runs are filed under where nobody says.

    `to_snapshot(body, source, observed_at=…, asked_at=…)` raises PayloadError.
    """

    name: str
    is_of: Callable[[Mapping[str, Any]], bool]
    to_snapshot: Callable[..., RunSnapshot]


SHAPES = (
    Shape("assistants", is_run, run_snapshot),
    Shape("responses", is_response, response_snapshot),
    Shape("agents", is_turn, turn_snapshot),
    Shape("langgraph", is_graph_run, graph_run_snapshot),
)


def shape_of(body: Mapping[str, Any]) -> Shape:
    """The shape of a document; the first where it has none, whose reading says what is missing."""
    return next((shape for shape in SHAPES if shape.is_of(body)), SHAPES[0])
