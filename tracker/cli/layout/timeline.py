"""One run as a picture in text: its phases, calls and steps as bars from its start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil, floor
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from projections.row_types import ActionRow, PhaseRow, RunRow, StepRow
from projections.web.drawing.time_axis import TimeAxis, fold_axis
from projections.web.words import format_duration as format_length
from tracker.cli.durations import format_duration
from tracker.cli.terminal import escape_controls

_COLOURS = {"queued": "yellow", "in_progress": "green", "requires_action": "magenta"}
_COLOURS |= {"unknown": "bright_black"}
_OTHER, _CALL, _STEP = "cyan", "magenta", "blue"
_WIDEST_LABEL = 28
_LEAST_BAR, _MOST_BAR = 12, 60
# A stretch that is folded, in each line.
_FOLD = "╌"


class Lane(NamedTuple):
    """One bar: its seconds from the start of the run, and the share that is sure."""

    label: str
    colour: str
    start: float
    end: float
    sure: float
    text: str


def make_lanes(
    run: RunRow,
    phases: Sequence[PhaseRow],
    actions: Sequence[ActionRow],
    steps: Sequence[StepRow],
    now: datetime | None = None,
) -> list[Lane]:
    """Returns the lanes of a run in order: phases, calls, steps. Those without a time are none."""
    # Open ones last until now.
    until = now or datetime.now(UTC)
    zero = min([run.created_at, *(it.entered_at for it in phases)])

    def seconds(moment: datetime | None) -> float:
        return max(0.0, ((moment or until) - zero).total_seconds())

    lanes = [
        Lane(
            it.status,
            _COLOURS.get(it.status, _OTHER),
            seconds(it.entered_at),
            seconds(it.left_at),
            _share_of(it.at_least_seconds, it.at_most_seconds),
            _describe_phase(it),
        )
        for it in phases
    ]
    lanes += [
        Lane(
            f"  {it.name or it.type or 'call'}",
            _CALL,
            seconds(it.required_at),
            seconds(it.resolved_at),
            _share_of(it.at_least_seconds, it.at_most_seconds),
            "waits"
            if it.resolved_at is None
            else format_duration(it.waited_seconds, it.at_least_seconds, it.at_most_seconds),
        )
        for it in actions
    ]
    lanes += [
        Lane(
            f"  {it.type}",
            _STEP,
            seconds(it.created_at),
            seconds(it.ended_at),
            1.0,
            "" if it.seconds is None else f"{it.seconds:g} s",
        )
        for it in steps
        if it.created_at is not None and it.ended_at is not None
    ]
    return lanes


def draw_timeline(lanes: Sequence[Lane], width: int) -> list[Text]:
    """Returns the lines of the picture: solid as long as it surely took, shaded where it may have.

    Long stretches without a change are folded, which the last line says.
    """
    if not lanes:
        return []
    texts = max(cell_len(it.text) for it in lanes)
    labels = [escape_controls(it.label) for it in lanes]
    label_width = min(_WIDEST_LABEL, max(map(cell_len, labels)))
    bar = max(_LEAST_BAR, min(_MOST_BAR, width - label_width - texts - 2))
    edges = [edge for it in lanes for edge in (it.start, it.end)]
    axis = fold_axis(0.0, max(edges), edges, scaled=False)
    lines = [Text(" " * (label_width + 1) + _draw_ticks(axis, bar))]
    for lane, label in zip(lanes, labels, strict=True):
        line = Text(set_cell_size(label, label_width) + " ")
        line.append(_draw_bar(axis, lane, bar), style=lane.colour)
        line.append(f" {lane.text}")
        lines.append(line)
    if axis.folds:
        folded = ", ".join(format_length(it.end - it.start) for it in axis.folds)
        lines.append(Text(" " * (label_width + 1) + f"{_FOLD}{_FOLD} {folded} folded"))
    return lines


def _describe_phase(phase: PhaseRow) -> str:
    if phase.left_at is None:
        return f"still lasts, {phase.basis}"
    described = format_duration(
        phase.seconds,
        phase.at_least_seconds,
        phase.at_most_seconds,
        is_disputed=phase.basis == "disputed",
    )
    return f"{described}, {phase.basis}"


def _share_of(at_least: float | None, at_most: float | None) -> float:
    if at_most is None:
        return 1.0
    return (at_least or 0.0) / at_most if at_most > 0 else 0.0


def _draw_bar(axis: TimeAxis, lane: Lane, width: int) -> str:
    first = min(width - 1, floor(axis.place(lane.start) / 100 * width))
    last = max(first + 1, ceil(axis.place(lane.end) / 100 * width - 1e-9))
    length = last - first
    unsure = length - max(round(length * lane.sure), 1 if lane.sure else 0)
    before = unsure // 2
    cells = ["░"] * before + ["█"] * (length - unsure) + ["░"] * (unsure - before)
    for fold in axis.folds:
        low, high = (round(axis.place(it) / 100 * width) for it in (fold.start, fold.end))
        if lane.start <= fold.start and fold.end <= lane.end:
            for at in range(max(low, first + 1), min(high, last - 1)):
                cells[at - first] = _FOLD
    return (" " * first + "".join(cells)).ljust(width)


def _draw_ticks(axis: TimeAxis, width: int) -> str:
    line = ""
    for seconds in axis.ticks():
        label = "0" if seconds == 0 else format_length(seconds)
        at = floor(axis.place(axis.start + seconds) / 100 * width)
        if (not line or at >= len(line) + 2) and at + len(label) <= width:
            line = line.ljust(at) + label
    return line
