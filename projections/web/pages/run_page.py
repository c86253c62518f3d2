"""The page of a run: facts, timeline, calls, events, and its state after each event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel

from projections.row_types import ActionRow, RunRow
from projections.web.page import Page, find_duration
from projections.web.pages.run_events import EventLine, describe_event, says_when
from projections.web.pages.run_timeline import Timeline, draw_timeline
from projections.web.words import (
    cut_text,
    escape_unsafe,
    format_bounded,
    format_count,
    format_dollars,
)
from tracker.core import events as e
from tracker.core.state import evolve, initial_state
from tracker.event_store import RecordedEvent

# Events that are listed at both ends of a long history, and links to states around one.
ENDS, AROUND = 250, 12
_LONGEST_STATE = 20_000
# Fields of the state that say nothing more, or that nobody can read.
_HIDDEN = frozenset(("past", "source", "run_id", "last_event_at"))


class Fact(NamedTuple):
    """One value of the grid."""

    name: str
    value: str
    note: str = ""
    url: str | None = None
    moment: datetime | None = None
    lines: tuple[str, ...] = ()


class State(NamedTuple):
    """The state of the run after one of its events."""

    number: int
    last: int
    text: str
    # Numbers with their URLs; None between them stands for those left out.
    links: list[tuple[int, str | None] | None]
    previous_url: str | None
    next_url: str | None


class CallRow(NamedTuple):
    """A call that the run waited for."""

    action: ActionRow
    waited: str


def gather(page: Page, source: str, run_id: str) -> dict[str, Any]:
    """Returns the values of the page. Raises UnknownRun."""
    run = page.answers.run(run_id, source)
    phases = page.answers.phases(run_id, source)
    actions = page.answers.actions(run_id, source, limit=None)
    steps = page.answers.steps(run_id, source)
    recorded = page.read_events(run.run_key)
    number = _choose_event(page, recorded)
    timeline: Timeline = draw_timeline(page, run, phases, actions, steps, recorded)
    return {
        "run": run,
        "facts": _list_facts(page, run),
        "timeline": timeline,
        "calls": [CallRow(it, _describe_wait(it)) for it in actions if it.tool_call_id],
        "events": _list_events(page, run, recorded, number),
        "left_out": max(0, len(recorded) - 2 * ENDS),
        "number_of_events": len(recorded),
        "state": _make_state(page, recorded, number) if recorded else None,
    }


def _describe_wait(action: ActionRow) -> str:
    return format_bounded(action.waited_seconds, action.at_least_seconds, action.at_most_seconds)


def _list_facts(page: Page, run: RunRow) -> list[Fact]:
    def lasted(name: str, phase: str) -> Fact:
        return Fact(name, format_bounded(*find_duration(run, phase)))

    total = run.total_seconds
    if total is None:
        total = max(0.0, (page.now - run.created_at).total_seconds())
        in_all = Fact("Time in all", f"{format_bounded(total, total, total)} so far")
    else:
        in_all = lasted("Time in all", "total")
    tokens = [f"{it:,} {name}" for name, it in _list_tokens(run) if it is not None]
    assistant = run.assistant_id
    return [
        Fact(
            "Assistant",
            assistant or "",
            page.names.get(assistant or "", ""),
            page.url("runs", assistant=assistant) if assistant else None,
        ),
        Fact("Model", run.model or "", page.names.get(run.model or "", "")),
        Fact("Thread", run.thread_id or "", url=page.thread_url(run.source, run.thread_id)),
        Fact("Source", run.source),
        Fact("Created", "", moment=run.created_at),
        Fact("Ended", "", moment=run.ended_at),
        in_all,
        Fact("Expires", "", moment=run.expires_at),
        lasted("Queued", "queued"),
        lasted("Running", "running"),
        lasted("Waiting for us", "action"),
        Fact(
            "Tokens",
            format_count(run.total_tokens) if run.total_tokens is not None or not tokens else "",
            ", ".join(tokens),
        ),
        Fact("Dollars", format_dollars(run.total_dollars)),
        Fact(
            "Metadata",
            "",
            lines=tuple(f"{key} = {_write_value(it)}" for key, it in run.metadata.items()),
        ),
        *([Fact("Service tier", run.service_tier)] if run.service_tier else []),
        *([Fact("Cut short", run.incomplete_reason)] if run.incomplete_reason else []),
    ]


def _list_tokens(run: RunRow) -> list[tuple[str, int | None]]:
    return [
        ("in", run.prompt_tokens),
        ("out", run.completion_tokens),
        ("cached", run.cached_tokens),
        ("reasoning", run.reasoning_tokens),
    ]


def _write_value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _choose_event(page: Page, recorded: Sequence[RecordedEvent]) -> int:
    given = page.params.get("event") or ""
    number = int(given[:9]) if given.isascii() and given.isdigit() else len(recorded)
    return min(max(number, 1), len(recorded))


def _list_events(
    page: Page, run: RunRow, recorded: Sequence[RecordedEvent], number: int
) -> list[EventLine]:
    shown = list(enumerate(recorded, 1))
    if len(shown) > 2 * ENDS:
        middle = [it for it in shown[ENDS:-ENDS] if abs(it[0] - number) <= AROUND]
        shown = [*shown[:ENDS], *middle, *shown[-ENDS:]]
    return [
        EventLine(
            at,
            type(entry.event).__name__,
            describe_event(entry.event),
            says_when(entry.event, run.created_at, page.time),
            entry.event.observed_at,
            (entry.event.observed_at - run.created_at).total_seconds(),
            page.here(event=at, _fragment="state"),
            at == number,
        )
        for at, entry in shown
    ]


def _make_state(page: Page, recorded: Sequence[RecordedEvent], number: int) -> State:
    state, problem = initial_state, ""
    for entry in recorded[:number]:
        try:
            state = evolve(state, entry.event)
        except TypeError:
            kind = type(entry.event).__name__
            problem = f"Event {entry.version} cannot be applied: {kind}\n"
            if not isinstance(entry.event, e.Unreadable):
                break
    fields = {
        name: _simplify(value)
        for name, value in state._asdict().items()
        if name not in _HIDDEN and value not in (None, (), {}, False)
    }
    text = json.dumps(fields, indent=2, ensure_ascii=False)
    last = len(recorded)
    near = {1, 2, last - 1, last, *range(number - AROUND, number + AROUND + 1)}
    links: list[tuple[int, str | None] | None] = []
    before = 0
    for at in sorted(it for it in near if 1 <= it <= last):
        if at > before + 1:
            links.append(None)
        links.append((at, page.here(event=at, _fragment="state")))
        before = at
    return State(
        number,
        last,
        cut_text(problem + escape_unsafe(text), _LONGEST_STATE),
        links,
        page.here(event=number - 1, _fragment="state") if number > 1 else None,
        page.here(event=number + 1, _fragment="state") if number < last else None,
    )


def _simplify(value: Any) -> Any:
    """Returns a value as JSON can have it, with long texts cut."""
    if isinstance(value, BaseModel):
        return _simplify(value.model_dump(mode="json", exclude_defaults=True))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return cut_text(value)
    if isinstance(value, list | tuple):
        return [_simplify(it) for it in value]
    if isinstance(value, dict):
        return {str(key): _simplify(it) for key, it in value.items()}
    return value if isinstance(value, int | float | bool) else str(value)
