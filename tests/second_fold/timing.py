"""The phases of a run and the calls it waited for, by the rules of the manual; and nothing else.

All rules about times are here. The bounds are those of the shortest paths between all pairs of
moments, so nothing is shared with the fold that is compared. Times are in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from tracker.core import events as e
from tracker.core.snapshot import ToolCall

ENDS = ("completed", "failed", "cancelled", "expired", "incomplete")
KINDS = ("queued", "running", "action")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
# Tools of the generated histories that are no functions.
SERVER_SIDE = ("code_interpreter", "file_search")


@dataclass
class Call:
    """A call that a run waited for; evidence is None if it is that of the whole stay."""

    columns: dict[str, str | None]
    required: Seen | None = None
    resolved: Seen | None = None
    # True if our own client answered it.
    is_ours: bool = False


class Seen(NamedTuple):
    """Between which moments something was, by the service's clock and by ours."""

    low: float = -inf
    high: float = inf
    after: float = -inf
    until: float = inf
    # How far the service's clock was ahead, as it was known then.
    least_ahead: float = -inf
    most_ahead: float = inf


@dataclass
class Cell:
    """The beginning of a status, with its evidence, its calls, and the step that tells it."""

    status: str
    seen: Seen
    basis: str = "observed"
    calls: dict[str, Call] = field(default_factory=dict)
    step: Pause | None = None
    is_loose: bool = False
    # Where it is while pauses are put between.
    moment: float = 0
    window: Seen = field(default_factory=lambda: Seen())
    most_ahead: float = inf
    is_resumption: bool = False

    @property
    def is_stamped(self) -> bool:
        """True if a stamp limits it on both sides."""
        return self.seen.low > -inf and self.seen.high < inf

    @property
    def answered_at(self) -> float | None:
        """The moment at which our own client had answered all calls."""
        if any(it.resolved is None for it in self.calls.values()):
            return None
        ours = (it.resolved.until for it in self.calls.values() if it.is_ours and it.resolved)
        return max(ours, default=None)


class Pause(NamedTuple):
    """A step that called functions: the run waited from its creation to its end."""

    began: int
    over: int
    is_answered: bool
    call_ids: tuple[str, ...]


class Length(NamedTuple):
    """A duration with its bounds; the value is None where they leave too much open."""

    value: int | None
    least: float
    most: float


class Stay(NamedTuple):
    """A stay in one status that was left."""

    status: str
    entered: int
    left: int
    length: Length
    basis: str


class Times(NamedTuple):
    """The times of a run: the rows of its phases, and the columns of its row."""

    phases: list[dict[str, Any]]
    last: str
    ended_at: datetime | None
    columns: dict[str, float | None]
    actions: list[dict[str, Any]]
    # The earliest stamp of a change.
    first_stamp: datetime | None


class Paths:
    """The longest time from each moment to each other one; the last two are the clocks' zeros."""

    def __init__(self, line: Sequence[Seen], ahead: tuple[float, float], slip: int) -> None:
        number = len(line) + 2
        service, ours = number - 2, number - 1
        self.most = [[0 if a == b else inf for b in range(number)] for a in range(number)]

        def limit(since: int, to: int, most: float) -> None:
            self.most[since][to] = min(self.most[since][to], most)

        for at, it in enumerate(line):
            limit(service, at, it.high)
            limit(at, service, -it.low)
            limit(ours, at, it.until + slip)
            limit(at, ours, -(it.after - slip))
            if at:
                limit(at, at - 1, 0)
        limit(service, ours, ahead[1])
        limit(ours, service, -ahead[0])
        for via in range(number):
            for row in self.most:
                for to in range(number):
                    row[to] = min(row[to], row[via] + self.most[via][to])
        self.is_possible = all(self.most[it][it] >= 0 for it in range(number))
        # By how much the service is ahead.
        self.ahead = (-self.most[ours][service], self.most[service][ours])
        self.slip = slip
        self.line = list(line)

    def between(self, one: int, other: int) -> tuple[float, float]:
        """Returns how long it is between two moments, at least and at most."""
        return max(0, -self.most[other][one]), self.most[one][other]

    def after_looks(self, one: int, after: float) -> float:
        """Returns how long after a moment a look was, at least."""
        return max(0, after - self.slip - self.most[len(self.line) + 1][one])


def measure_run(events: Sequence[e.Event]) -> Times:
    """Returns the times of a run from all of its events."""
    cells, sets = _list_changes(events)
    if sets:
        _keep_one_clock(cells, sets)
    stamps = [it.seen.low for it in cells if it.is_stamped]
    _add_proven_pauses(cells, events)
    never_pauses = any(getattr(it, "never_pauses", False) for it in events)
    has_steps = any(isinstance(it, e.RunStepRecorded) and _is_dated(it) for it in events)
    never_pauses = never_pauses or (has_steps and cells[-1].status in ENDS)
    has_start = any(isinstance(it, e.RunTimesChanged) and it.started_at for it in events)
    line = _complete(cells, never_pauses, has_start)
    found = _estimate(line, never_pauses)
    last = line[-1]
    ended_at = None
    if last.status in ENDS:
        end = next(it for it in events if isinstance(it, e.RunEnded))
        seen = found.moments[-1] if found.has_last else int(last.seen.until)
        ended_at = end.occurred_at or moment_of(seen)
    columns = _columns_of(found, last.status in ENDS)
    first_stamp = moment_of(int(min(stamps))) if stamps else None
    phases = list(_phase_rows(line, found))
    return Times(
        phases, last.status, ended_at, columns, list(_action_rows(line, found)), first_stamp
    )


class Found(NamedTuple):
    """The estimate of a line."""

    moments: list[int]
    points: list[int | None]
    stays: list[Stay]
    total: Length
    kinds: dict[str, Length]
    has_last: bool
    paths: Paths


def _estimate(line: Sequence[Cell], never_pauses: bool) -> Found:
    seen = [it.seen for it in line]
    is_stamped = any(it.low > -inf or it.high < inf for it in seen)
    ahead = _known_offset(seen)
    untils = [it.until for it in seen if it.until < inf]
    slip = int((max(untils) - min(untils)) * 100 // 2_000_000) + 1 if untils else 0
    paths = Paths(seen, ahead, slip)
    if paths.is_possible:
        return _measure(line, paths, never_pauses, is_disputed=False)
    later = [it._replace(after=-inf) for it in seen]
    alone = [it._replace(after=-inf, until=inf) for it in seen]
    apart = (-inf, inf) if is_stamped else (0, 0)
    ahead = ahead if ahead[0] <= ahead[1] else (-inf, inf)
    told = [_by_the_service(it, slip) for it in seen]
    trials = [Paths(later, ahead, slip), Paths(told, apart, 0), Paths(alone, apart, 0)]
    trials = [it for it in trials if it.is_possible]
    if not trials:
        trials = [Paths(_clamp(seen), (-inf, inf), 0)]
    ours = Paths([it._replace(low=-inf, high=inf) for it in seen], (0, 0), slip)
    trials += [ours] if ours.is_possible else []
    all_found = [_measure(line, it, never_pauses, is_disputed=True) for it in trials]
    first = all_found[0]
    for other in all_found[1:]:
        first = first._replace(
            stays=[
                it._replace(length=_hull(it.length, its.length))
                for it, its in zip(first.stays, other.stays, strict=True)
            ],
            total=_hull(first.total, other.total),
            kinds={kind: _hull(it, other.kinds[kind]) for kind, it in first.kinds.items()},
        )
    return first


def _known_offset(seen: Sequence[Seen]) -> tuple[float, float]:
    """Returns the bounds that were recorded; without stamps there is one clock, ours."""
    if all(it.low == -inf and it.high == inf for it in seen):
        return 0, 0
    return max(it.least_ahead for it in seen), min(it.most_ahead for it in seen)


def _by_the_service(it: Seen, slip: int) -> Seen:
    """Returns a moment by the service's clock alone, its looks translated."""
    low = max(it.low, it.after - slip + it.least_ahead)
    return Seen(low, min(it.high, it.until + slip + it.most_ahead))


def _keep_one_clock(line: list[Cell], sets: Sequence[int]) -> None:
    """Forgets all looks but those between two moments at which our clock was set."""
    ends = [0, *sets, len(line)]
    parts = [range(first, last) for first, last in pairwise(ends)]
    counts = [
        sum((line[at].seen.after > -inf) + (line[at].seen.until < inf) for at in part)
        for part in parts
    ]
    best = max(range(len(parts)), key=lambda it: (counts[it], it))
    if not any(it.is_stamped for it in line):
        best = 0
    for at, cell in enumerate(line):
        if at not in parts[best]:
            cell.seen = Seen(cell.seen.low, cell.seen.high)
        for call in cell.calls.values():
            call.required = call.required and Seen(call.required.low, call.required.high)
            call.resolved = call.resolved and Seen(call.resolved.low, call.resolved.high)


def _hull(one: Length, other: Length) -> Length:
    most = one.most if other.most == inf else max(one.most, other.most)
    return Length(one.value, min(one.least, other.least), most)


def _clamp(seen: Sequence[Seen]) -> list[Seen]:
    lowest = seen[0].low
    highest = max(seen[-1].high, lowest) if seen[-1].low > -inf else inf
    clamped = []
    for it in seen:
        lowest = max(lowest, min(max(it.low, lowest), highest))
        clamped.append(Seen(lowest, min(max(it.high, lowest), highest)))
    return clamped


def _measure(line: Sequence[Cell], paths: Paths, never_pauses: bool, *, is_disputed: bool) -> Found:
    points = _find_points(line, paths)
    moments = []
    for at, point in enumerate(points):
        moment = _find_limit(at, line, paths) if point is None else point
        moments.append(max([int(moment), *moments[-1:]]))
    stays = []
    for at, (before, after) in enumerate(pairwise(line)):
        looks = paths.line[at + 1].after if after.is_loose else None
        length = _length(paths, at, at + 1, _minus(points[at + 1], points[at]), looks)
        basis = "observed"
        if before.basis == after.basis == "server":
            basis = "server"
        for it in ("inferred",) if "inferred" in (before.basis, after.basis) else ():
            basis = it
        basis = "unknown" if before.status == "unknown" else basis
        basis = "disputed" if is_disputed else basis
        stays.append(Stay(before.status, moments[at], moments[at + 1], length, basis))
    whole = _minus(points[-1], points[0])
    total = _length(paths, 0, len(line) - 1, whole)
    if all(it.length.value is not None for it in stays):
        total = total._replace(value=whole)
    loose = [it.is_loose for it in line[1:]]
    kinds = _sum_up(stays, loose, total, never_pauses)
    return Found(moments, points, stays, total, kinds, points[-1] is not None, paths)


def _minus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one - other


def _length(
    paths: Paths, one: int, other: int, value: int | None, looks: float | None = None
) -> Length:
    least, most = paths.between(one, other)
    if looks is not None:
        least = paths.after_looks(one, looks)
    return _told(value, least, most)


def _told(value: int | None, least: float, most: float) -> Length:
    if value is not None and most - least > max(2 * SECOND, value):
        value = None
    return Length(value, least, most)


def _offsets(paths: Paths) -> tuple[float, float]:
    least, most = paths.ahead
    if least > -inf and most < inf:
        least = most = (least + most) // 2
    return least, most


def _find_points(line: Sequence[Cell], paths: Paths) -> list[int | None]:
    """Returns the middle of the earliest and the latest moments at the middle of the offsets."""
    early, late = _offsets(paths)
    seen, slip = paths.line, paths.slip
    points: list[int | None] = []
    for at in range(len(seen)):
        first = max(max(it.low, it.after - slip + early) for it in seen[: at + 1])
        last = min(min(it.high, it.until + slip + late) for it in seen[at:])
        points.append(None if -inf == first or last == inf else int((first + last) // 2))
    lows = max(it.low for it in seen)
    if line[-1].status == "expired" and seen[-1].high == inf and lows > -inf:
        end = int(max(lows, max(it.after for it in seen) - slip + early))
        points = [it if it is None else min(it, end) for it in points[:-1]] + [end]
    return points


def _find_limit(at: int, line: Sequence[Cell], paths: Paths) -> float:
    seen, slip = paths.line, paths.slip
    least, most = paths.ahead
    first = max(max(it.low, it.after - slip + least) for it in seen[: at + 1])
    last = min(min(it.high, it.until + slip + most) for it in seen[at:])
    limits = (first, last, line[at].seen.until if seen[at].until < inf else inf)
    return next((it for it in limits if -inf < it < inf), 0)


def _sum_up(
    stays: Sequence[Stay], loose: Sequence[bool], total: Length, never_pauses: bool
) -> dict[str, Length]:
    parts: dict[str, list[Length]] = {}
    unseen = sum(
        it.length.most - it.length.least for it, is_ in zip(stays, loose, strict=True) if is_
    )
    hidden = [it.length.most for it in stays if it.status == "unknown"]
    for stay in stays:
        if stay.status != "unknown":
            kind = {"queued": "queued", "requires_action": "action"}.get(stay.status, "running")
            parts.setdefault(kind, []).append(stay.length)
    may_hide = (KINDS[:2] if never_pauses else KINDS) if hidden else ()
    sums = {}
    for kind in {**parts, **dict.fromkeys(may_hide)}:
        lengths = parts.get(kind, [])
        values = [it.value for it in lengths]
        known = None if None in values or kind in may_hide else sum(values)  # type: ignore[arg-type]
        sums[kind] = Length(known, sum(it.least for it in lengths), sum(it.most for it in lengths))
    if len(sums) == 1 and not unseen and not may_hide:
        return sums
    found = {}
    for kind, (value, least, most) in sums.items():
        others = [it for other, it in sums.items() if other != kind]
        extra = unseen + sum(hidden)
        rest = sum(it.most for it in others) + extra
        value = None if value is not None and unseen > max(2 * SECOND, value) else value
        highest = most + unseen + (sum(hidden) if kind in may_hide else 0)
        found[kind] = Length(
            value,
            max(least, total.least - rest) if rest < inf and most < inf else least,
            min(highest, total.most - sum(it.least for it in others)),
        )
    return found


def _complete(cells: Sequence[Cell], never_pauses: bool, has_start: bool) -> list[Cell]:
    """Adds the work that nobody saw, and merges a queue with work that nobody told apart."""
    line = [cells[0]]
    carried = -inf
    for at, given in enumerate(cells[1:], 1):
        cell = given
        if carried > cell.seen.after:
            cell = replace(cell, seen=cell.seen._replace(after=carried))
        carried = -inf
        before = line[-1]
        if before.status == "queued" and cell.status == "in_progress":
            seen = cell.seen
            is_told = seen.low > -inf or seen.high < inf
            is_told = is_told or (seen.after > -inf and seen.until < inf)
            if not is_told and at < len(cells) - 1:
                until = min(before.seen.until, seen.until)
                line[-1] = replace(before, status="unknown", seen=before.seen._replace(until=until))
                carried = seen.after
                continue
        elif before.status == "queued":
            has_worked = cell.status in ("completed", "incomplete", "requires_action")
            if has_worked and cell.seen.after > -inf:
                work = Cell("in_progress", Seen(after=cell.seen.after), "inferred")
                line.append(replace(work, is_loose=not never_pauses))
            elif has_worked or (cell.status in ENDS and cell.seen.after == -inf):
                line[-1] = replace(before, status="unknown")
        started = has_start or any(it.status == "in_progress" and it.seen.low > -inf for it in line)
        line.append(
            replace(cell, is_loose=_may_hide(line[-1].status, cell.status, never_pauses, started))
        )
    return line


def _may_hide(before: str, status: str, never_pauses: bool, has_start: bool) -> bool:
    """True if another status may lie between two."""
    match before, status:
        case ("unknown", _) | ("requires_action", "queued" | "unknown"):
            return False
        case "cancelling", _:
            return status not in ENDS
        case "queued", "in_progress":
            return not never_pauses
        case "in_progress", "completed" | "failed" | "incomplete" | "requires_action":
            return not never_pauses and not has_start
        case ("in_progress", "expired" | "cancelling") | ("requires_action", "expired"):
            return not never_pauses
    return True


def _phase_rows(line: Sequence[Cell], found: Found) -> Iterator[dict[str, Any]]:
    """Yields the rows of `run_phases`."""
    stays = _merge(found)
    for seq, stay in enumerate(stays, 1):
        yield {
            "seq": seq,
            "status": stay.status,
            "entered_at": moment_of(stay.entered),
            "left_at": moment_of(stay.left),
            "seconds": seconds(stay.length.value),
            "uncertainty_seconds": seconds(_error(stay.length)),
            "basis": stay.basis,
            **_bounds("", stay.length),
        }
    if line[-1].status not in ENDS:
        yield {
            "seq": len(stays) + 1,
            "status": line[-1].status,
            "entered_at": moment_of(found.moments[-1]),
            "left_at": None,
            "seconds": None,
            "uncertainty_seconds": None,
            "basis": line[-1].basis,
            **_bounds("", None),
        }


def _merge(found: Found) -> list[Stay]:
    """Returns one stay for those that are unknown and that neither stamp nor look divides."""
    groups: list[list[int]] = []
    for at, stay in enumerate(found.stays):
        are_known = stay.length.value is not None or not groups
        are_known = are_known or found.stays[at - 1].length.value is not None
        if are_known or _is_told(found.paths, at):
            groups.append([at])
        else:
            groups[-1].append(at)
    stays = []
    for group in groups:
        first, last = found.stays[group[0]], found.stays[group[-1]]
        if len(group) == 1:
            stays.append(first)
            continue
        whole = _minus(found.points[group[-1] + 1], found.points[group[0]])
        length = _length(found.paths, group[0], group[-1] + 1, whole)
        basis = "disputed" if first.basis == "disputed" else "unknown"
        stays.append(Stay("unknown", first.entered, last.left, length, basis))
    return stays


def _is_told(paths: Paths, at: int) -> bool:
    """True if a moment is known better than its order among the others tells."""
    seen, slip, (least, most) = paths.line, paths.slip, paths.ahead

    def lower(to: int) -> float:
        part = seen[: to + 1]
        return max(max(it.low for it in part), max(it.after for it in part) - slip + least)

    def upper(to: int) -> float:
        part = seen[to:]
        return min(min(it.high for it in part), min(it.until for it in part) + slip + most)

    return lower(at) > lower(at - 1) or upper(at) < upper(at + 1)


def _bounds(prefix: str, length: Length | None) -> dict[str, float | None]:
    return {
        f"{prefix}at_least_seconds": None if length is None else seconds(length.least),
        f"{prefix}at_most_seconds": None if length is None else seconds(length.most),
    }


def _columns_of(found: Found, is_ended: bool) -> dict[str, float | None]:
    lengths: dict[str, Length | None] = {kind: found.kinds.get(kind) for kind in KINDS}
    lengths["total"] = found.total if is_ended else None
    known = [it for it in lengths.values() if it is not None and it.value is not None]
    errors = [_error(it) for it in known]
    bounds: dict[str, float | None] = {}
    for kind, length in lengths.items():
        bounds |= _bounds(f"{kind}_", length)
    return {
        **{
            f"{it}_seconds": None if of is None else seconds(of.value) for it, of in lengths.items()
        },
        "uncertainty_seconds": None if None in errors else seconds(max(errors, default=None)),
        **bounds,
    }


def _error(length: Length) -> float | None:
    if length.value is None or length.most == inf:
        return None
    return max(length.value - length.least, length.most - length.value)


def seconds(length: float | None) -> float | None:
    """Returns microseconds in seconds; None for what nothing limits."""
    return None if length is None or length == inf else length / SECOND


def moment_of(number: int) -> datetime:
    """Returns the moment of a number of microseconds."""
    return EPOCH + timedelta(microseconds=number)


def micros(moment: datetime) -> int:
    """Returns the number of microseconds of a moment."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def clean(text: Any) -> Any:
    """Returns a text as the tables have it, which take no NUL."""
    return text.replace("\x00", "\ufffd") if isinstance(text, str) else text


def _window(stamp: int) -> tuple[int, int]:
    """Returns the first and last microsecond for which a stamp stands."""
    grain = SECOND if stamp % SECOND == 0 else 1000 if stamp % 1000 == 0 else 1
    return stamp, stamp + grain - 1


def _cell(event: e.Change, status: str) -> Cell:
    low, high = (-inf, inf) if event.occurred_at is None else _window(micros(event.occurred_at))
    after = -inf if event.not_before is None else micros(event.not_before)
    until = micros(min(event.observed_at, event.not_after or event.observed_at))
    basis = "inferred" if event.inferred else "observed"
    basis = basis if event.occurred_at is None else "server"
    ahead = getattr(event, "ahead", None) or ()
    return Cell(status, Seen(low, high, after, until, *ahead), basis)


def _action_rows(line: Sequence[Cell], found: Found) -> Iterator[dict[str, Any]]:
    """Yields the rows of `run_actions`: the calls of a pause last together as long as it."""
    pauses = [(at, cell) for at, cell in enumerate(line) if cell.status == "requires_action"]
    # A step tells the pause of its calls, even if a poll saw them in another.
    homes = {
        call_id: seq
        for seq, (_, cell) in enumerate(pauses, 1)
        if cell.step is not None
        for call_id in cell.step.call_ids
    }
    seen = {call_id: call for _, cell in pauses for call_id, call in cell.calls.items()}
    for seq, (at, cell) in enumerate(pauses, 1):
        own = {key: it for key, it in cell.calls.items() if homes.get(key, seq) == seq}
        others = {
            key: it for key, it in seen.items() if homes.get(key) == seq and key not in cell.calls
        }
        is_over = at + 1 < len(line)
        for call_id, call in {**own, **others}.items() or [("", Call(_columns(None)))]:
            is_whole = call_id not in own or len(own) < len(cell.calls)
            if call.is_ours and is_over:
                is_last = call.resolved is not None and call.resolved.until == cell.answered_at
                is_whole = is_whole or cell.step is not None or is_last
            waited = _wait(Call(call.columns) if is_whole else call, at, line, found)
            required, resolved, length = waited
            yield {
                "seq": seq,
                "tool_call_id": call_id,
                **call.columns,
                "required_at": moment_of(required),
                "resolved_at": None if resolved is None else moment_of(resolved),
                "waited_seconds": None if length is None else seconds(length.value),
                "uncertainty_seconds": None if length is None else seconds(_error(length)),
                **_bounds("", length),
            }


def _wait(
    call: Call, at: int, line: Sequence[Cell], found: Found
) -> tuple[int, int | None, Length | None]:
    is_over = at + 1 < len(line)
    began = found.moments[at]
    over = found.moments[at + 1] if is_over else None
    if call.required is None and call.resolved is None:
        return began, over, found.stays[at].length if is_over else None
    # The ends by each clock alone.
    seen, slip = found.paths.line, found.paths.slip

    def lower(to: int) -> tuple[float, float]:
        part = seen[: to + 1]
        return max(it.low for it in part), max(it.after for it in part) - slip

    def upper(to: int) -> tuple[float, float]:
        part = seen[to:]
        return min(it.high for it in part), min(it.until for it in part) + slip

    floor, roof = lower(at), upper(at + 1) if is_over else (inf, inf)
    first: Seen | None = Seen(floor[0], upper(at)[0], floor[1], upper(at)[1])
    second: Seen | None = Seen(inf, inf, inf, inf)
    if is_over:
        second = Seen(lower(at + 1)[0], roof[0], lower(at + 1)[1], roof[1])
    required, resolved, is_known = began, over, True
    if call.required is not None:
        first = _limit(call.required, floor, roof, slip)
        point = _point(first, found.paths)
        is_known = point is not None
        required = max(began, began if point is None else point)
        required = required if over is None else min(required, over)
    looks = seen[at + 1].after if is_over and line[at + 1].is_loose else None
    if call.resolved is not None:
        looks = None
        begin = (-inf, -inf) if first is None else (first.low, first.after)
        second = None if first is None else _limit(call.resolved, begin, roof, slip)
        point = _point(second, found.paths)
        is_known = is_known and point is not None
        if point is not None:
            resolved = point if over is None else min(point, over)
        elif resolved is None and second is not None:
            resolved = required
    if resolved is None:
        return required, None, None
    resolved = max(required, resolved)
    if first is None or second is None:
        return required, resolved, Length(None, 0, inf)
    least_ahead, most_ahead = found.paths.ahead
    most = min(
        second.high - first.low,
        second.until - first.after,
        second.high - first.after - least_ahead,
        second.until - first.low + most_ahead,
    )
    least = max(
        0,
        second.low - first.high,
        second.after - first.until,
        second.low - first.until - most_ahead,
        second.after + least_ahead - first.high,
    )
    if looks is not None:
        looks -= slip
        least = max(0, looks - first.until, looks + least_ahead - first.high)
    length = _told(resolved - required if is_known else None, least, most)
    if length.value is not None and not least <= length.value <= most:
        length = length._replace(value=None)
    return required, resolved, length


def _limit(
    seen: Seen, floor: tuple[float, float], roof: tuple[float, float], slip: int
) -> Seen | None:
    limited = Seen(
        max(seen.low, floor[0]),
        min(seen.high, roof[0]),
        max(seen.after - slip, floor[1]),
        min(seen.until + slip, roof[1]),
    )
    is_possible = limited.low <= limited.high and limited.after <= limited.until
    return limited if is_possible else None


def _point(seen: Seen | None, paths: Paths) -> int | None:
    if seen is None:
        return None
    early, late = _offsets(paths)
    first, last = max(seen.low, seen.after + early), min(seen.high, seen.until + late)
    return None if first == -inf or last == inf else int((first + last) // 2)


def _columns(call: ToolCall | None) -> dict[str, str | None]:
    return {it: clean(getattr(call, it, None)) for it in ("type", "name", "arguments")}


def _list_changes(events: Sequence[e.Event]) -> tuple[list[Cell], list[int]]:
    """Returns the changes, and before which of them our clock was set."""
    line: list[Cell] = []
    sets: list[int] = []
    expires_at: datetime | None = None
    for event in events:
        match event:
            case e.RunCreated():
                line.append(_cell(event, "queued"))
                expires_at = event.expires_at
            case e.RunIdentified(created_at=datetime() as stamp):
                low, high = _window(micros(stamp))
                seen = line[0].seen._replace(low=low, high=high)
                line[0] = replace(line[0], seen=seen, basis="server")
            case e.RunActionRequired():
                is_new = _stop(line, event)
                if event.clock_was_set:
                    sets.append(len(line) - is_new)
            case e.ToolOutputsSubmitted():
                if line[-1].status == "requires_action":
                    for key in map(clean, event.tool_call_ids):
                        call = line[-1].calls.get(key)
                        if call is not None and call.resolved is None:
                            call.resolved = Seen(until=micros(event.observed_at))
                            call.is_ours = True
            case e.RunStatusChanged() | e.RunEnded():
                cell = _cell(event, event.status)
                if event.status == "expired" and not cell.is_stamped and expires_at is not None:
                    cell.seen = cell.seen._replace(low=micros(expires_at))
                if event.clock_was_set:
                    sets.append(len(line))
                line.append(cell)
            case e.RunTimesChanged():
                expires_at = event.expires_at or expires_at
    return line, sets


def _stop(line: list[Cell], event: e.RunActionRequired) -> bool:
    """Adds a pause, or its calls to the pause that the run is in; returns True for a new one."""
    calls = {clean(it.id): Call(_columns(it)) for it in event.tool_calls}
    calls = calls or {"": Call(_columns(None))}
    cell = line[-1]
    if cell.status == "requires_action":
        over = cell.answered_at
        if over is None or cell.calls.keys() & calls.keys():
            _ask_for_others(cell, calls, _cell(event, "").seen)
            return False
        # All was answered, so it went on before it asked for others.
        line.append(Cell("unknown", Seen(until=over), "inferred"))
    new = _cell(event, "requires_action")
    new.calls = calls
    line.append(new)
    return True


def _ask_for_others(cell: Cell, calls: dict[str, Call], seen: Seen) -> None:
    for call_id, call in cell.calls.items():
        if call_id not in calls:
            call.resolved = call.resolved or seen
        elif call.resolved is not None:
            call.resolved, call.is_ours = None, False
    for call_id, call in calls.items():
        if call_id not in cell.calls:
            cell.calls[call_id] = replace(call, required=seen)


def _is_dated(step: e.RunStepRecorded) -> bool:
    return step.created_at is not None and step.ended_at is not None


def _calls_functions(step: e.RunStepRecorded) -> bool:
    return step.type == "tool_calls" and any(it not in SERVER_SIDE for it in step.tools)


def _add_proven_pauses(line: list[Cell], events: Sequence[e.Event]) -> None:
    """Adds the pauses that steps prove to the line, and the ends that our own client knows."""
    dated = sorted(
        {
            (
                micros(it.created_at),
                micros(it.ended_at),
                _calls_functions(it),
                it.status == "completed",
                tuple(map(clean, it.tool_call_ids)) if _calls_functions(it) else (),
            )
            for it in events
            if isinstance(it, e.RunStepRecorded) and it.created_at and it.ended_at
        }
    )
    if not dated and all(it.answered_at is None for it in line):
        return
    _place(line)
    pauses = [Pause(began, over, *rest) for began, over, calls, *rest in dated if calls]
    begins = [it[0] for it in dated]
    # Cells that were seen keep their identity while others are put between them.
    reported = list(line)
    pairs = list(zip(pauses, _pair(line, pauses), strict=True))

    def apply(pause: Pause, at: int | None) -> None:
        if at is not None:
            _set_stamp(line[at], pause.began)
            line[at].step = pause
            _end_pause(line, at, pause)

    for pause, seen in pairs:
        if seen is not None:
            apply(pause, _find(line, seen))
    if any(seen is None for _, seen in pairs):
        _place(line)
    for pause, seen in pairs:
        if seen is None:
            place = _place_unseen(line, pause, begins)
            if place is not None and _is_seen_later(line, place, pause, reported):
                _set_stamp(line[place], pause.began)
                line[place].step = pause
                if pause.is_answered:
                    after = Cell("unknown", Seen(), moment=pause.over)
                    _set_stamp(after, pause.over)
                    line.insert(place + 1, after)
            else:
                apply(pause, place)
    for cell in [it for it in line if it.calls and it.step is None]:
        over = cell.answered_at
        if over is not None:
            _end_by_us(line, _find(line, cell), over)


def _place(line: list[Cell]) -> None:
    """Notes where each cell is, and between which moments it can be.

    Work without a stamp is as early as it can be, a pause or an end as late.
    """
    seen = [it.seen for it in line]
    untils = [it.until for it in seen if it.until < inf]
    slip = int((max(untils) - min(untils)) * 100 // 2_000_000) + 1 if untils else 0
    paths = Paths(seen, _known_offset(seen), slip)
    moments = [] if paths.is_possible else _estimate(line, False).moments
    for at, cell in enumerate(line):
        if paths.is_possible:
            window = Seen(
                max(it.low for it in seen[: at + 1]),
                min(it.high for it in seen[at:]),
                max(it.after for it in seen[: at + 1]) - slip + paths.ahead[0],
                min(it.until for it in seen[at:]) + slip + paths.ahead[1],
            )
            is_late = cell.status == "requires_action" or cell.status in ENDS
            early, late = max(window.low, window.after), min(window.high, window.until)
            cell.moment = late if is_late else early
            cell.window, cell.most_ahead = window, paths.ahead[1]
        else:
            cell.moment = moments[at]
        if cell.is_stamped:
            cell.moment = cell.seen.low


def _find(line: list[Cell], cell: Cell) -> int:
    return next(at for at, it in enumerate(line) if it is cell)


def _pair(line: list[Cell], pauses: Sequence[Pause]) -> list[Cell | None]:
    """Returns the pause that was seen for each that is proven.

    By its calls; else in order if there are as many of an ended run; else by time.
    """
    waits = [at for at, it in enumerate(line) if it.status == "requires_action"]
    found: dict[int, int] = {}
    for number, pause in enumerate(pauses):
        known = [at for at in waits if line[at].calls.keys() & set(pause.call_ids)]
        if known:
            found[number] = known[0]
            waits.remove(known[0])
    rest = [number for number in range(len(pauses)) if number not in found]
    if len(rest) == len(waits) and line[-1].status in ENDS:
        found.update(zip(rest, waits, strict=True))
        rest = []
    for number in rest:
        fitting = [at for at in waits if _may_be(line[at], pauses[number])]
        if fitting:
            found[number] = fitting[0]
            waits = [at for at in waits if at > fitting[0]]
    return [line[found[it]] if it in found else None for it in range(len(pauses))]


def _may_be(cell: Cell, pause: Pause) -> bool:
    """True if a pause that was seen may be the one that a step proves."""
    if pause.call_ids and cell.calls and "" not in cell.calls:
        # It is known to be one for other calls.
        return False
    window = cell.window
    by_looks = window.after - 2 * SECOND <= pause.began <= window.until + 2 * SECOND
    return window.low <= pause.began <= window.high and by_looks


def _place_unseen(line: list[Cell], pause: Pause, begins: Sequence[int]) -> int | None:
    """Puts a pause that nobody saw between the changes; None if it fits nowhere."""
    moments = [it.moment for it in line]
    at = max((it for it in range(len(line)) if moments[it] <= pause.began), default=0)
    if line[at].status in ENDS and moments[at] == pause.began:
        at -= 1
    around = line[at]
    if around.status in ENDS or around.status == "requires_action":
        return None
    if at and not around.is_stamped and around.seen.after + around.most_ahead > pause.began:
        # The look may have been after the pause.
        around.seen = around.seen._replace(after=-inf)
    if at == len(line) - 1:
        # It went on as it was last seen; nobody knows when.
        moment = max(pause.over, pause.began)
        queued = Cell("queued", Seen(), moment=moment, is_resumption=True)
        _set_stamp(queued, pause.over)
        line.append(queued)
        if around.status != "queued":
            line.append(Cell(around.status, Seen(), "inferred", moment=moment))
    if around.status == "queued":
        worked = [it for it in begins if around.moment <= it < pause.began]
        latest = _window(worked[0])[1] if worked else inf
        moment = worked[0] if worked else pause.began
        at += 1
        line.insert(at, Cell("in_progress", Seen(high=latest), "inferred", moment=moment))
    line.insert(at + 1, Cell("requires_action", Seen(), moment=pause.began))
    return at + 1


def _is_seen_later(line: list[Cell], at: int, pause: Pause, reported: Sequence[Cell]) -> bool:
    """True if the last look may have shown, after the pause, a status other than queued."""
    following = line[at + 1] if at + 1 < len(line) else None
    if following is None or not any(it is following for it in reported):
        return False
    if following.status not in ("queued", "in_progress") or following.is_stamped:
        return False
    before = [it for it in line[:at] if any(it is its for its in reported)]
    latest = following.seen.after + following.most_ahead
    return before[-1].status != "queued" and latest > pause.over


def _end_pause(line: list[Cell], at: int, pause: Pause) -> None:
    """Sets the end of a pause by its step."""
    if at + 1 == len(line) or line[at + 1].is_resumption:
        return
    following, over = line[at + 1], pause.over
    waited = not pause.is_answered or over >= following.moment
    if following.status in ENDS and waited:
        if not following.is_stamped:
            following.seen = following.seen._replace(low=-inf)
            _set_stamp(following, over)
        return
    if following.status == "queued":
        _set_stamp(following, over)
        return
    if following.status == "in_progress":
        if following.seen.high < over:
            return
        new = Cell("queued", Seen(), moment=over)
    elif pause.is_answered:
        new = Cell("unknown", Seen(), moment=over)
    else:
        return
    _set_stamp(new, over)
    line.insert(at + 1, new)


def _end_by_us(line: list[Cell], at: int, over: float) -> None:
    """Sets the end of a pause by the outputs that our own client submitted."""
    if at + 1 == len(line) or line[at + 1].is_resumption:
        return
    following = line[at + 1]
    if over >= following.seen.until:
        return
    if following.status in ("queued", "unknown"):
        following.seen = following.seen._replace(until=over)
    elif following.status == "in_progress":
        line.insert(at + 1, Cell("queued", Seen(until=over), "observed"))
    else:
        line.insert(at + 1, Cell("unknown", Seen(until=over), "inferred"))


def _set_stamp(cell: Cell, stamp: int) -> None:
    """Sets the stamp of a step, which counts more than one that it does not meet."""
    low, high = _window(stamp)
    if max(low, cell.seen.low) <= min(high, cell.seen.high):
        low, high = max(low, cell.seen.low), min(high, cell.seen.high)  # type: ignore[assignment]
    cell.seen, cell.basis = cell.seen._replace(low=low, high=high), "server"
