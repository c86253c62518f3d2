"""The phases of a run and the calls it waited for, by the rules of the manual; and nothing else.

All rules about times are here. A boundary between two statuses lies at the server's stamp, or else
where it was seen, and never before the boundary in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from tracker.core import events as e

ENDS = ("completed", "failed", "cancelled", "expired", "incomplete")
NOTHING, SECOND = timedelta(0), timedelta(seconds=1)
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


class Times(NamedTuple):
    """The times of a run: its stays, and the columns of its row."""

    stays: list[Stay]
    ended_at: datetime | None
    columns: dict[str, float | None]


def measure_run(events: Sequence[e.Event], created_at: datetime) -> Times:
    """Returns the times of a run from all of its events."""
    changes = _add_proven_pauses(_list_changes(events), events)
    stays = _make_stays(changes)
    end = stays[-1] if stays[-1].status in ENDS else None
    ended_at = None
    if end is not None:
        ended_at = next(it.occurred_at for it in events if isinstance(it, e.RunEnded))
        ended_at = ended_at or end.entered
    return Times(stays, ended_at, _sum_up(stays, created_at, ended_at))


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


def action_rows(events: Sequence[e.Event]) -> list[dict[str, Any]]:
    """Returns the rows of `run_actions`, in the order in which the calls were required."""
    rows: list[dict[str, Any]] = []
    errors: dict[int, Error] = {}
    seq = 0

    def close(row: dict[str, Any], moment: datetime, error: Error) -> None:
        row["resolved_at"] = moment
        row["waited_seconds"] = seconds(moment - row["required_at"])
        row["uncertainty_seconds"] = seconds(_add(errors[id(row)], error))

    for event in events:
        waiting = [it for it in rows if it["resolved_at"] is None]
        if isinstance(event, e.RunActionRequired):
            if event.previous != "requires_action" or not seq:
                seq += 1
            moment = event.occurred_at or min(
                event.observed_at, event.not_after or event.observed_at
            )
            error = None if event.not_before is None else max(NOTHING, moment - event.not_before)
            calls = [
                (clean(it.id), clean(it.type), clean(it.name), clean(it.arguments))
                for it in event.tool_calls
            ] or [("", None, None, None)]
            for row in waiting:
                if row["tool_call_id"] not in [it[0] for it in calls]:
                    close(row, max(moment, row["required_at"]), error)
            for call_id, kind, name, arguments in dict(
                zip([it[0] for it in calls], calls, strict=True)
            ).values():
                if (seq, call_id) in [(it["seq"], it["tool_call_id"]) for it in rows]:
                    continue
                row = {
                    "seq": seq,
                    "tool_call_id": call_id,
                    "type": kind,
                    "name": name,
                    "arguments": arguments,
                    "required_at": moment,
                    "resolved_at": None,
                    "waited_seconds": None,
                    "uncertainty_seconds": seconds(error),
                }
                rows.append(row)
                errors[id(row)] = error
        elif isinstance(event, e.ToolOutputsSubmitted):
            for row in waiting:
                if row["tool_call_id"] in map(clean, event.tool_call_ids):
                    close(row, max(event.observed_at, row["required_at"]), NOTHING)
        elif isinstance(event, e.RunStatusChanged | e.RunEnded):
            for row in waiting:
                stay = Stay("requires_action", row["required_at"], errors[id(row)], "")
                change = Change("", *_evidence(event))
                end, _ = _meet(stay, change)
                assert end.left is not None
                close(row, end.left, end.left_error)
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


def _list_changes(events: Sequence[e.Event]) -> list[Change]:
    changes: list[Change] = []
    knows_start = False
    for event in events:
        match event:
            case e.RunCreated():
                changes.append(Change("queued", event.occurred_at, event.observed_at))
            case e.RunActionRequired():
                # Other calls in the same pause are no new phase.
                if changes[-1].status != "requires_action":
                    changes.append(Change("requires_action", *_evidence(event), knows_start))
            case e.RunStatusChanged() | e.RunEnded():
                changes.append(Change(event.status, *_evidence(event), knows_start))
                if event.status == "in_progress" and event.occurred_at is not None:
                    knows_start = True
            case e.RunTimesChanged():
                knows_start = knows_start or event.started_at is not None
    return changes


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
    if change.stamp is None:
        basis = "inferred" if change.inferred else "observed"
        return _split(stay, change, moment, (reach, basis), (reach, basis))
    exact = _grain(change.stamp) + late
    if change.gap is not None:
        later = "inferred" if change.gap else "server"
        return _split(stay, change, moment, (exact, "server"), (exact + change.gap, later))
    widest = None if reach is None else max(exact, reach)
    if change.inferred:
        closing = exact if change.before is None else widest
        return _split(stay, change, moment, (closing, "inferred"), (exact, "inferred"))
    if _has_nothing_between(stay.status, change):
        return _split(stay, change, moment, (exact, "server"), (exact, "server"))
    basis = "server" if widest == exact else "observed"
    return _split(stay, change, moment, (widest, basis), (exact, "server"))


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


def _add_proven_pauses(changes: list[Change], events: Sequence[e.Event]) -> list[Change]:
    """Returns the changes with the pauses that steps prove."""
    dated = sorted(
        {
            (it.created_at, it.ended_at, _calls_functions(it), it.status == "completed")
            for it in events
            if isinstance(it, e.RunStepRecorded) and it.created_at and it.ended_at
        }
    )
    if not dated:
        return changes
    pauses = [Pause(began, over, answered) for began, over, calls, answered in dated if calls]
    begins = [it[0] for it in dated]
    # Changes that were seen keep their identity while others are put between them.
    line: list[list[Change]] = [[it] for it in changes]
    for pause, seen in zip(pauses, _pair(line, pauses), strict=True):
        place = _find(line, seen) if seen is not None else _place_unseen(line, pause, begins)
        if place is not None:
            _bound(line, place, pause)
    found = [cell[0] for cell in line]
    if found[-1].status in ENDS:
        for at, (before, change) in enumerate(pairwise(found), 1):
            if (before.status, change.status) == ("queued", "in_progress") and change.stamp:
                found[at] = change._replace(gap=NOTHING)
    return found


def _calls_functions(step: e.RunStepRecorded) -> bool:
    return step.type == "tool_calls" and any(it not in SERVER_SIDE for it in step.tools)


def _find(line: list[list[Change]], cell: list[Change]) -> int:
    return next(at for at, it in enumerate(line) if it is cell)


def _pair(line: list[list[Change]], pauses: Sequence[Pause]) -> list[list[Change] | None]:
    waits = [at for at, it in enumerate(line) if it[0].status == "requires_action"]
    if len(waits) == len(pauses):
        return [line[at] for at in waits]
    pairs: list[list[Change] | None] = []
    for pause in pauses:
        fitting = [at for at in waits if _may_be(line[at - 1][0], line[at][0], pause.began)]
        pairs.append(line[fitting[0]] if fitting else None)
        if fitting:
            waits = [at for at in waits if at > fitting[0]]
    return pairs


def _may_be(earlier: Change, wait: Change, began: datetime) -> bool:
    """True if a pause that was seen may be the one that a step proves."""
    earliest = (wait.before or earlier.moment) - SKEW
    if earlier.stamp is not None:
        earliest = earlier.stamp
    return earliest <= began <= wait.moment + SKEW


def _place_unseen(line: list[list[Change]], pause: Pause, begins: Sequence[datetime]) -> int | None:
    """Puts a pause that nobody saw between the changes; None if it fits nowhere."""
    at = max((it for it in range(len(line)) if line[it][0].moment <= pause.began), default=0)
    if line[at][0].status in ENDS and line[at][0].moment == pause.began:
        at -= 1
    around = line[at][0]
    if around.status in ENDS or around.status == "requires_action":
        return None
    if around.status == "queued":
        worked = [it for it in begins if around.moment <= it <= pause.began]
        seen = max(min(worked, default=pause.began), around.moment)
        work = Change("in_progress", None, seen, around.moment - SECOND, None, True)
        line.insert(at + 1, [work])
        at += 1
    line.insert(at + 1, [_stamped("requires_action", pause.began)])
    return at + 1


def _bound(line: list[list[Change]], at: int, pause: Pause) -> None:
    """Sets both times of a pause, and that of the next change to match."""
    line[at][0] = _stamped("requires_action", pause.began)
    if at + 1 == len(line):
        return
    following = line[at + 1][0]
    late = max(NOTHING, following.moment - pause.over)
    if following.status in ENDS and (not pause.is_answered or pause.over >= following.moment):
        line[at + 1][0] = (
            following._replace(gap=NOTHING)
            if following.stamp is not None
            else _stamped(following.status, pause.over)
        )
    elif following.status == "queued":
        line[at + 1][0] = _stamped("queued", pause.over)
    elif following.status == "in_progress":
        if following.stamp is not None and following.stamp >= pause.over:
            line[at + 1][0] = following._replace(gap=NOTHING)
            line.insert(at + 1, [_stamped("queued", pause.over)])
        else:
            line[at + 1][0] = _stamped("in_progress", pause.over, late)
    elif pause.is_answered:
        line.insert(at + 1, [_stamped("in_progress", pause.over, late)])


def _stamped(status: str, moment: datetime, gap: timedelta = NOTHING) -> Change:
    return Change(status, moment, moment, knows_start=True, gap=gap)
