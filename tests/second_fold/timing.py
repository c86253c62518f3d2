"""The phases of a run and the calls it waited for, by the rules of the manual; and nothing else.

All rules about times are here. A boundary between two statuses lies at the server's stamp, or else
where it was seen, and never before the boundary in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from tracker.core import events as e
from tracker.core.snapshot import ToolCall

ENDS = ("completed", "failed", "cancelled", "expired", "incomplete")
NOTHING, SECOND = timedelta(0), timedelta(seconds=1)
# Stands for a gap that nothing limits.
UNLIMITED = timedelta.max
# By how much the clocks may differ where a pause that was seen is that of a step.
SKEW = timedelta(seconds=2)
# Tools of the generated histories that are no functions.
SERVER_SIDE = ("code_interpreter", "file_search")

# An error of a time; None if nothing limits it.
Error = timedelta | None


class Change(NamedTuple):
    """A change of status, as its event reports it."""

    status: str
    stamp: datetime | None
    seen: datetime
    before: datetime | None = None
    after: datetime | None = None
    inferred: bool = False
    # True if the service had reported a start before.
    knows_start: bool = False
    # Set by a step: the status before was left at the stamp, and this one began so much later.
    gap: timedelta | None = None

    @property
    def moment(self) -> datetime:
        """The first moment at which the status is known."""
        return self.stamp or min(self.seen, self.after or self.seen)


@dataclass(frozen=True)
class Stay:
    """A stay in one status; the last one of an ended run is its end."""

    status: str
    entered: datetime
    entered_error: Error
    entered_basis: str
    left: datetime | None = None
    left_error: Error = None
    left_basis: str = ""


class Pause(NamedTuple):
    """A step that called functions: the run waited from its creation to its end."""

    began: datetime
    over: datetime
    is_answered: bool
    call_ids: tuple[str, ...]


@dataclass
class Call:
    """A call that a run waited for; times are None if they are those of the whole stay."""

    columns: dict[str, str | None]
    required: tuple[datetime, Error] | None = None
    resolved: tuple[datetime, Error] | None = None
    # True if our own client answered it.
    is_ours: bool = False


@dataclass
class Cell:
    """A change in the line of a run, the calls it waits for from there, and the step of it."""

    change: Change
    calls: dict[str, Call] = field(default_factory=dict)
    step: Pause | None = None

    @property
    def answered_at(self) -> datetime | None:
        """The moment at which our own client had answered all calls."""
        if any(it.resolved is None for it in self.calls.values()):
            return None
        ours = (it.resolved[0] for it in self.calls.values() if it.is_ours and it.resolved)
        return max(ours, default=None)


class Times(NamedTuple):
    """The times of a run: its stays, and the columns of its row."""

    stays: list[Stay]
    ended_at: datetime | None
    columns: dict[str, float | None]
    actions: list[dict[str, Any]]


def measure_run(events: Sequence[e.Event], created_at: datetime) -> Times:
    """Returns the times of a run from all of its events."""
    line = _list_changes(events)
    _add_proven_pauses(line, events)
    stays = _make_stays([it.change for it in line])
    end = stays[-1] if stays[-1].status in ENDS else None
    ended_at = None
    if end is not None:
        ended_at = next(it.occurred_at for it in events if isinstance(it, e.RunEnded))
        ended_at = ended_at or end.entered
    columns = _sum_up(stays, created_at, ended_at)
    return Times(stays, ended_at, columns, list(_action_rows(line, stays)))


def phase_rows(stays: Sequence[Stay]) -> list[dict[str, Any]]:
    """Returns the rows of `run_phases`."""
    rows = []
    for seq, stay in enumerate((it for it in stays if it.status not in ENDS), 1):
        error, basis = stay.entered_error, stay.entered_basis
        if stay.left is not None:
            error = _add(error, stay.left_error)
            bases = {basis, stay.left_basis}
            basis = next(it for it in ("inferred", "observed", "server") if it in bases)
        row = {
            "seq": seq,
            "status": stay.status,
            "entered_at": stay.entered,
            "left_at": stay.left,
            "seconds": seconds(None if stay.left is None else stay.left - stay.entered),
            "uncertainty_seconds": seconds(error),
            "basis": basis,
        }
        rows.append(row)
    return rows


def seconds(length: timedelta | None) -> float | None:
    """Returns a length in seconds."""
    return None if length is None else length.total_seconds()


def clean(text: Any) -> Any:
    """Returns a text as the tables have it, which take no NUL."""
    return text.replace("\x00", "\ufffd") if isinstance(text, str) else text


def _evidence(
    event: e.Change,
) -> tuple[datetime | None, datetime, datetime | None, datetime | None, bool]:
    return event.occurred_at, event.observed_at, event.not_before, event.not_after, event.inferred


def _action_rows(line: Sequence[Cell], stays: Sequence[Stay]) -> Iterator[dict[str, Any]]:
    """Yields the rows of `run_actions`: the calls of a pause last together as long as it."""
    pauses = [
        (cell, stay)
        for cell, stay in zip(line, stays, strict=True)
        if stay.status == "requires_action"
    ]
    # A step tells the pause of its calls, even if a poll saw them in another.
    homes = {
        call_id: seq
        for seq, (cell, _) in enumerate(pauses, 1)
        if cell.step is not None
        for call_id in cell.step.call_ids
    }
    seen = {call_id: call for cell, _ in pauses for call_id, call in cell.calls.items()}
    for seq, (cell, stay) in enumerate(pauses, 1):
        own = {key: it for key, it in cell.calls.items() if homes.get(key, seq) == seq}
        others = {
            key: it for key, it in seen.items() if homes.get(key) == seq and key not in cell.calls
        }
        for call_id, call in {**own, **others}.items() or [("", Call(_columns(None)))]:
            is_whole = call_id not in own or len(own) < len(cell.calls)
            is_whole = is_whole or (cell.step is not None and call.is_ours)
            yield _action_row(seq, call_id, Call(call.columns) if is_whole else call, stay)


def _action_row(seq: int, call_id: str, call: Call, stay: Stay) -> dict[str, Any]:
    required, error = stay.entered, stay.entered_error
    if call.required is not None:
        required, error = max(call.required[0], stay.entered), call.required[1]
    if stay.left is not None:
        required = min(required, stay.left)
    resolved, later = stay.left, stay.left_error
    if call.resolved is not None and (stay.left is None or call.resolved[0] < stay.left):
        resolved, later = max(call.resolved[0], required), call.resolved[1]
    return {
        "seq": seq,
        "tool_call_id": call_id,
        **call.columns,
        "required_at": required,
        "resolved_at": resolved,
        "waited_seconds": seconds(None if resolved is None else resolved - required),
        "uncertainty_seconds": seconds(error if resolved is None else _add(error, later)),
    }


def _columns(call: ToolCall | None) -> dict[str, str | None]:
    return {it: clean(getattr(call, it, None)) for it in ("type", "name", "arguments")}


def _list_changes(events: Sequence[e.Event]) -> list[Cell]:
    line: list[Cell] = []
    knows_start = False
    for event in events:
        match event:
            case e.RunCreated():
                line.append(Cell(Change("queued", event.occurred_at, event.observed_at)))
            case e.RunIdentified(created_at=datetime() as stamp):
                line[0].change = Change("queued", stamp, stamp)
            case e.RunActionRequired():
                _stop(line, event, knows_start)
            case e.ToolOutputsSubmitted():
                if line[-1].change.status == "requires_action":
                    for key in map(clean, event.tool_call_ids):
                        call = line[-1].calls.get(key)
                        if call is not None and call.resolved is None:
                            call.resolved, call.is_ours = (event.observed_at, NOTHING), True
            case e.RunStatusChanged() | e.RunEnded():
                line.append(Cell(Change(event.status, *_evidence(event), knows_start)))
                if event.status == "in_progress" and event.occurred_at is not None:
                    knows_start = True
            case e.RunTimesChanged():
                knows_start = knows_start or event.started_at is not None
    return line


def _stop(line: list[Cell], event: e.RunActionRequired, knows_start: bool) -> None:
    calls = {clean(it.id): Call(_columns(it)) for it in event.tool_calls}
    calls = calls or {"": Call(_columns(None))}
    cell = line[-1]
    if cell.change.status == "requires_action":
        over = cell.answered_at
        if over is None or cell.calls.keys() & calls.keys():
            _ask_for_others(cell, calls, event)
            return
        # All was answered, so it went on before it asked for others.
        line.append(Cell(Change("in_progress", None, over, over, None, True, knows_start)))
    change = Change("requires_action", *_evidence(event), knows_start)
    line.append(Cell(change, calls))


def _ask_for_others(cell: Cell, calls: dict[str, Call], event: e.RunActionRequired) -> None:
    moment = event.occurred_at or min(event.observed_at, event.not_after or event.observed_at)
    error = None if event.not_before is None else max(NOTHING, moment - event.not_before)
    for call_id, call in cell.calls.items():
        if call_id not in calls:
            call.resolved = call.resolved or (moment, error)
        elif call.resolved is not None:
            call.resolved, call.is_ours = None, False
    for call_id, call in calls.items():
        if call_id not in cell.calls:
            cell.calls[call_id] = replace(call, required=(moment, error))


def _make_stays(changes: Sequence[Change]) -> list[Stay]:
    first = changes[0]
    stay = Stay("queued", first.seen, None, "observed")
    if first.stamp is not None:
        stay = Stay("queued", first.stamp, _grain(first.stamp), "server")
    stays = []
    for change in changes[1:]:
        left, stay = _meet(stay, change)
        stays.append(left)
    return [*stays, stay]


def _meet(stay: Stay, change: Change) -> tuple[Stay, Stay]:
    """Returns a stay with its end, and the stay that begins there."""
    known = change.moment
    moment = max(known, stay.entered)
    late = moment - known
    # Back to the last look without the change, or else to the begin of the stay.
    reach = _add(stay.entered_error, moment - stay.entered)
    if change.before is not None:
        reach = max(NOTHING, moment - change.before)
    if change.stamp is None and change.gap is not None:
        # Our own client told it.
        return _split(
            stay, change, moment, (late, "observed"), _open_after(late, change, "observed")
        )
    if change.stamp is None:
        basis = "inferred" if change.inferred else "observed"
        return _split(stay, change, moment, (reach, basis), (reach, basis))
    exact = _grain(change.stamp) + late
    if change.gap is not None:
        return _split(stay, change, moment, (exact, "server"), _open_after(exact, change, "server"))
    widest = None if reach is None else max(exact, reach)
    if change.inferred:
        closing = exact if change.before is None else widest
        return _split(stay, change, moment, (closing, "inferred"), (exact, "inferred"))
    if _has_nothing_between(stay.status, change):
        return _split(stay, change, moment, (exact, "server"), (exact, "server"))
    basis = "server" if widest == exact else "observed"
    return _split(stay, change, moment, (widest, basis), (exact, "server"))


def _open_after(exact: timedelta, change: Change, basis: str) -> tuple[Error, str]:
    assert change.gap is not None
    error = None if change.gap == UNLIMITED else exact + change.gap
    return error, "inferred" if change.gap else basis


def _split(
    stay: Stay,
    change: Change,
    moment: datetime,
    closing: tuple[Error, str],
    opening: tuple[Error, str],
) -> tuple[Stay, Stay]:
    ended = replace(stay, left=moment, left_error=closing[0], left_basis=closing[1])
    return ended, Stay(change.status, moment, *opening)


def _has_nothing_between(status: str, change: Change) -> bool:
    """True if no other status can lie unseen between a stay and a stamped change."""
    if status == "cancelling":
        return change.status in ENDS
    if status == "queued" and change.status == "in_progress":
        return change.before is None
    if not change.knows_start:
        return False
    if status == "in_progress":
        return change.status in ("completed", "incomplete")
    return status == "queued" and change.status in ("failed", "cancelled", "expired")


def _sum_up(
    stays: Sequence[Stay], created_at: datetime, ended_at: datetime | None
) -> dict[str, float | None]:
    sums: dict[str, timedelta] = {}
    kinds = {"queued": "queued", "requires_action": "action"}
    for stay in stays:
        if stay.left is not None:
            kind = kinds.get(stay.status, "running")
            sums[kind] = sums.get(kind, NOTHING) + stay.left - stay.entered
    error = stays[0].entered_error
    for stay, following in pairwise(stays):
        if stay.left_error is None or following.entered_error is None:
            error = None
        error = _add(error, max(stay.left_error or NOTHING, following.entered_error or NOTHING))
    total = None
    if ended_at is not None:
        total = max(NOTHING, ended_at - created_at)
        last = stays[-1].entered_error
        if error is not None and last is not None:
            # No duration can be off by more than the run took.
            whole = total + _grain(created_at) + last
            error = min(error, max(whole, sum(sums.values(), NOTHING)))
    return {
        **{f"{it}_seconds": seconds(sums.get(it)) for it in ("queued", "running", "action")},
        "total_seconds": seconds(total),
        "uncertainty_seconds": seconds(error),
    }


def _grain(stamp: datetime) -> timedelta:
    """Returns the error of a stamp: a second if it is in whole seconds."""
    return NOTHING if stamp.microsecond else SECOND


def _add(one: Error, other: Error) -> Error:
    return None if one is None or other is None else one + other


def _add_proven_pauses(line: list[Cell], events: Sequence[e.Event]) -> None:
    """Adds the pauses that steps prove to the line, and the ends that our own client knows."""
    dated = sorted(
        {
            (
                it.created_at,
                it.ended_at,
                _calls_functions(it),
                it.status == "completed",
                tuple(map(clean, it.tool_call_ids)) if _calls_functions(it) else (),
            )
            for it in events
            if isinstance(it, e.RunStepRecorded) and it.created_at and it.ended_at
        }
    )
    pauses = [Pause(began, over, *rest) for began, over, calls, *rest in dated if calls]
    begins = [it[0] for it in dated]
    # Cells that were seen keep their identity while others are put between them.
    for pause, seen in zip(pauses, _pair(line, pauses), strict=True):
        place = _find(line, seen) if seen is not None else _place_unseen(line, pause, begins)
        if place is not None:
            cell = line[place]
            cell.change, cell.step = _stamped("requires_action", pause.began), pause
            _end_pause(line, place, pause.over, is_answered=pause.is_answered)
    for cell in [it for it in line if it.calls and it.step is None]:
        over = cell.answered_at
        if over is not None:
            over = max(over, cell.change.moment)
            _end_pause(line, _find(line, cell), over, is_answered=True, is_ours=True)
    if dated and line[-1].change.status in ENDS:
        for before, cell in pairwise(line):
            change = cell.change
            is_start = (before.change.status, change.status) == ("queued", "in_progress")
            if is_start and change.stamp is not None:
                cell.change = change._replace(gap=NOTHING)


def _calls_functions(step: e.RunStepRecorded) -> bool:
    return step.type == "tool_calls" and any(it not in SERVER_SIDE for it in step.tools)


def _find(line: list[Cell], cell: Cell) -> int:
    return next(at for at, it in enumerate(line) if it is cell)


def _pair(line: list[Cell], pauses: Sequence[Pause]) -> list[Cell | None]:
    """Returns the pause that was seen for each that is proven.

    By its calls; else in order if there are as many of an ended run; else by time.
    """
    waits = [at for at, it in enumerate(line) if it.change.status == "requires_action"]
    found: dict[int, int] = {}
    for number, pause in enumerate(pauses):
        known = [at for at in waits if line[at].calls.keys() & set(pause.call_ids)]
        if known:
            found[number] = known[0]
            waits.remove(known[0])
    rest = [number for number in range(len(pauses)) if number not in found]
    if len(rest) == len(waits) and line[-1].change.status in ENDS:
        found.update(zip(rest, waits, strict=True))
        rest = []
    for number in rest:
        fitting = [at for at in waits if _may_be(line, at, pauses[number])]
        if fitting:
            found[number] = fitting[0]
            waits = [at for at in waits if at > fitting[0]]
    return [line[found[it]] if it in found else None for it in range(len(pauses))]


def _may_be(line: list[Cell], at: int, pause: Pause) -> bool:
    """True if a pause that was seen may be the one that a step proves."""
    cell, earlier = line[at], line[at - 1].change
    if pause.call_ids and cell.calls and "" not in cell.calls:
        # It is known to be one for other calls.
        return False
    wait = cell.change
    earliest = (wait.before or earlier.moment) - SKEW
    if earlier.stamp is not None:
        earliest = earlier.stamp
    return earliest <= pause.began <= wait.moment + SKEW


def _place_unseen(line: list[Cell], pause: Pause, begins: Sequence[datetime]) -> int | None:
    """Puts a pause that nobody saw between the changes; None if it fits nowhere."""
    moments = [it.change.moment for it in line]
    at = max((it for it in range(len(line)) if moments[it] <= pause.began), default=0)
    if line[at].change.status in ENDS and moments[at] == pause.began:
        at -= 1
    around = line[at].change
    if around.status in ENDS or around.status == "requires_action":
        return None
    if at == len(line) - 1:
        # It went on as it was last seen; nobody knows when.
        line.append(Cell(_stamped(around.status, max(pause.over, pause.began), UNLIMITED)))
    if around.status == "queued":
        worked = [it for it in begins if around.moment <= it <= pause.began]
        seen = max(min(worked, default=pause.began), around.moment)
        work = Change("in_progress", None, seen, around.moment - SECOND, None, True)
        line.insert(at + 1, Cell(work))
        at += 1
    line.insert(at + 1, Cell(_stamped("requires_action", pause.began)))
    return at + 1


def _end_pause(
    line: list[Cell], at: int, over: datetime, *, is_answered: bool, is_ours: bool = False
) -> None:
    """Sets the end of a pause, by our own clock if it `is_ours`, and the next change to match."""
    if at + 1 == len(line) or line[at + 1].change.gap == UNLIMITED:
        return

    def change_to(status: str, gap: timedelta = NOTHING) -> Change:
        if is_ours:
            return Change(status, None, over, over, knows_start=True, gap=gap)
        return _stamped(status, over, gap)

    following = line[at + 1].change
    late = max(NOTHING, following.moment - over)
    if following.status in ENDS and (not is_answered or over >= following.moment):
        if not is_ours:
            line[at + 1].change = (
                following._replace(gap=NOTHING)
                if following.stamp is not None
                else change_to(following.status)
            )
    elif following.status == "queued":
        line[at + 1].change = change_to("queued")
    elif following.status == "in_progress":
        if following.stamp is not None and following.stamp >= over:
            line[at + 1].change = following._replace(gap=NOTHING)
            line.insert(at + 1, Cell(change_to("queued")))
        else:
            line[at + 1].change = change_to("in_progress", late)
    elif is_answered:
        line.insert(at + 1, Cell(change_to("in_progress", late)))


def _stamped(status: str, moment: datetime, gap: timedelta = NOTHING) -> Change:
    return Change(status, moment, moment, knows_start=True, gap=gap)
