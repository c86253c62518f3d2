"""The picture of a run in text: bars from its start, to scale, in any width."""

from datetime import UTC, datetime, timedelta

from rich.cells import cell_len

from projections import ActionRow, PhaseRow, RunRow, StepRow
from projections.row_types import field_names
from tracker.cli.layout.timeline import Lane, draw_timeline, make_lanes

BEGIN = datetime(2026, 3, 29, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def make(kind: type, **values: object) -> object:
    return kind(**{name: values.get(name) for name in field_names(kind)})


def make_phase(status: str, start: float, end: float | None, sure: float) -> object:
    length = None if end is None else end - start
    return make(
        PhaseRow,
        status=status,
        entered_at=after(start),
        left_at=None if end is None else after(end),
        seconds=length,
        basis="server",
        at_least_seconds=None if length is None else length * sure,
        at_most_seconds=length,
    )


def draw(width: int, last: float | None = 10) -> list[str]:
    run = make(RunRow, created_at=BEGIN)
    phases = [
        make_phase("queued", 0, 2, 1),
        make_phase("in_progress", 2, 5, 0.5),
        make_phase("requires_action", 5, last, 1),
    ]
    call = make(
        ActionRow,
        name="get_weather",
        required_at=after(5),
        resolved_at=None if last is None else after(last),
        waited_seconds=5.0,
        at_least_seconds=5.0,
        at_most_seconds=5.0,
    )
    step = make(StepRow, type="tool_calls", created_at=after(5), ended_at=after(9), seconds=4.0)
    late = make(StepRow, type="message_creation")
    lanes = make_lanes(run, phases, [call], [step, late], after(4_000))  # type: ignore[arg-type]
    return [line.plain for line in draw_timeline(lanes, width)]


def test_bars_begin_where_they_began() -> None:
    lines = draw(80)
    assert [line.split()[0] for line in lines[1:]] == [
        *("queued", "in_progress", "requires_action"),
        *("get_weather", "tool_calls"),
    ]
    assert lines[0].split()[0] == "0"
    starts = [len(line) - len(line[17:].lstrip(" ")) for line in lines[1:]]
    assert starts[0] < starts[1] < starts[2] == starts[3] == starts[4]
    assert [line.count("█") + line.count("░") > 1 for line in lines[1:]] == [True] * 5
    # Only the work is not sure.
    assert [line.count("░") > 0 for line in lines[1:]] == [False, True, False, False, False]
    # The step without times has no bar.
    assert "message_creation" not in "".join(lines)


def test_it_fits_at_each_width() -> None:
    for width in range(56, 201):
        assert max(cell_len(line) for line in draw(width)) <= width


def test_what_lasts_is_folded_and_says_so() -> None:
    lines = draw(80, None)
    assert "still lasts" in lines[3]
    assert "waits" in lines[4]
    assert "╌" in lines[3]
    assert lines[-1].split()[-1] == "folded"


def test_nothing_is_no_picture() -> None:
    assert draw_timeline([], 80) == []
    [_, line] = draw_timeline([Lane("\x1b[31mred", "cyan", 0, 0, 0, "<1 s")], 80)
    assert line.plain.startswith("\\x1b[31mred")
