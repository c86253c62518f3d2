"""The row of a run, folded from its events: pure, no database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from typing import Any, ClassVar

from projections.folding import status_trace
from projections.folding.json_text import json_text, plain_text
from projections.folding.micros import micros, micros_or_none, seconds
from projections.folding.phases import PhaseInterval, stamp_width
from projections.folding.status_trace import StatusTrace
from tracker.core import events as e
from tracker.core.status import ENDED, IN_PROGRESS, QUEUED, REQUIRES_ACTION
from tracker.core.usage import Usage

VANISHED = "vanished"
# Of one run: more is a service's mistake, and a million of them still have a sum in 63 bits.
MOST_TOKENS = 10**12

_NAME_LENGTH = 256
_USAGE = attrgetter(*Usage.model_fields)
_NO_USAGE = (None,) * len(Usage.model_fields)
_QUEUED, _RUNNING, _ACTION = range(3)
_KINDS = {QUEUED: _QUEUED, REQUIRES_ACTION: _ACTION}


class RunHistory(StatusTrace):
    """The trace of a run and the rest of its row: moments as numbers, metadata as JSON."""

    __slots__ = (
        "configuration_digest",
        "created_at",
        "ended_at",
        "error_code",
        "error_message",
        "expires_at",
        "first_seen_at",
        "identity",
        "incomplete_reason",
        "metadata",
        "seen",
        "started_at",
        "tokens",
        "vanished",
    )
    handlers: ClassVar[Mapping[type[e.Event], Callable[[Any, Any], None]]]

    def __init__(self, key: str) -> None:
        super().__init__(key)
        # Source, run, thread, assistant and model.
        self.identity: tuple[str | None, ...] = ()
        self.created_at = self.first_seen_at = 0
        self.started_at: int | None = None
        self.ended_at: int | None = None
        self.expires_at: int | None = None
        # A number costs more than the sight of it, and only the last one counts.
        self.seen: datetime | int = 0
        self.tokens: tuple[int | None, ...] = _NO_USAGE
        self.error_code: str | None = None
        self.error_message: str | None = None
        self.incomplete_reason: str | None = None
        self.metadata = "{}"
        self.configuration_digest: str | None = None
        self.vanished = False


def believed(counts: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Counts of tokens, those beyond all reason as not known: they would drown every sum."""
    if any(it is not None and it > MOST_TOKENS for it in counts):
        return tuple(None if it is not None and it > MOST_TOKENS else it for it in counts)
    return counts


def stored_name(name: str | None) -> str | None:
    """A name as the table has it: an index entry has a limit that a service's text has not."""
    return plain_text(name[:_NAME_LENGTH]) if name else name


def row_values(run: RunHistory, found: Sequence[PhaseInterval]) -> list[Any]:
    """The row of a run with these stays as it is written: in the order of `RunRow`.

    Moments are numbers. Durations are the sums of the phases that were left, None before the
    first of their kind;
    `running_seconds` takes all but queued and requires_action, `total_seconds` is end minus
    creation. `uncertainty_seconds` is the sum of all boundaries' widths, each once, and at the
    end no more than the run lasted. A run that vanished keeps its phase open and has that
    status again from its next sign of life.
    """
    last = found[-1]
    outcome = last.status if last.status in ENDED else None
    ended_at = total = None
    if outcome is not None:
        # The server's two stamps are exact together, even where ours ran ahead of them between.
        ended_at = last.entered if run.ended_at is None else run.ended_at
        total = max(0, ended_at - run.created_at)
    spent, uncertainty = _spent(found)
    if total is not None and uncertainty is not None and last.opening is not None:
        whole = total + stamp_width(run.created_at) + last.opening
        parts = sum(it for it in spent if it is not None)
        uncertainty = min(uncertainty, max(parts, whole))
    return [
        run.key,
        *run.identity,
        VANISHED if run.vanished and outcome is None else last.status,
        outcome,
        run.created_at,
        run.started_at,
        ended_at,
        run.expires_at,
        run.first_seen_at,
        run.seen if isinstance(run.seen, int) else micros(run.seen),
        *run.tokens,
        seconds(spent[_QUEUED]),
        seconds(spent[_RUNNING]),
        seconds(spent[_ACTION]),
        seconds(total),
        seconds(uncertainty),
        run.error_code,
        run.error_message,
        run.incomplete_reason,
        run.metadata,
        run.configuration_digest,
        run.version,
    ]


def _spent(found: Sequence[PhaseInterval]) -> tuple[list[int | None], int | None]:
    """How long the run was queued, running and waiting, and the widths of all boundaries."""
    spent: list[int | None] = [None, None, None]
    width = found[0].opening
    for stay, following in pairwise(found):
        kind = _KINDS.get(stay.status, _RUNNING)
        length = (stay.left or 0) - stay.entered
        before = spent[kind]
        spent[kind] = length if before is None else before + length
        closing, opening = stay.closing, following.opening
        if width is None or closing is None or opening is None:
            width = None
        else:
            width += closing if closing > opening else opening
    return spent, width


def _created(run: RunHistory, event: e.RunCreated) -> None:
    status_trace.created(run, event)
    run.identity = (
        event.source,
        event.run_id,
        stored_name(event.thread_id),
        stored_name(event.assistant_id),
        stored_name(event.model),
    )
    stamp, run.first_seen_at = run.transitions[0][1:3]
    run.created_at = run.first_seen_at if stamp is None else stamp
    run.expires_at = micros_or_none(event.expires_at)
    run.metadata = json_text(event.metadata)
    run.configuration_digest = stored_name(event.configuration_digest)
    run.seen = event.observed_at


def _status_changed(run: RunHistory, event: e.RunStatusChanged) -> None:
    status_trace.status_changed(run, event)
    if event.status == IN_PROGRESS and event.occurred_at is not None:
        run.started_at = run.transitions[-1][1]
    run.vanished = False
    run.seen = event.observed_at


def _action_required(run: RunHistory, event: e.RunActionRequired) -> None:
    status_trace.action_required(run, event)
    run.vanished = False
    run.seen = event.observed_at


def _ended(run: RunHistory, event: e.RunEnded) -> None:
    status_trace.moved(run, event, event.status)
    run.ended_at = run.transitions[-1][1]
    run.tokens = _NO_USAGE if event.usage is None else believed(_USAGE(event.usage))
    if event.error is not None:
        run.error_code = plain_text(event.error.code)
        run.error_message = plain_text(event.error.message)
    run.incomplete_reason = plain_text(event.reason)
    run.seen = event.observed_at


def _usage_reported(run: RunHistory, event: e.RunUsageReported) -> None:
    # What a later report leaves out was not taken back.
    run.tokens = tuple(
        old if new is None else new
        for old, new in zip(run.tokens, believed(_USAGE(event.usage)), strict=True)
    )
    run.seen = event.observed_at


def _metadata_changed(run: RunHistory, event: e.RunMetadataChanged) -> None:
    run.metadata = json_text(event.metadata)
    run.seen = event.observed_at


def _times_changed(run: RunHistory, event: e.RunTimesChanged) -> None:
    status_trace.times_changed(run, event)
    run.started_at = micros_or_none(event.started_at) or run.started_at
    run.expires_at = micros_or_none(event.expires_at) or run.expires_at
    run.seen = event.observed_at


def _step_recorded(run: RunHistory, event: e.RunStepRecorded) -> None:
    status_trace.step_recorded(run, event)
    run.seen = event.observed_at


def _vanished(run: RunHistory, event: e.RunVanished) -> None:
    run.vanished = True
    run.seen = event.observed_at


def _reappeared(run: RunHistory, event: e.RunReappeared) -> None:
    run.vanished = False
    run.seen = event.observed_at


def _noted(run: RunHistory, event: e.Event) -> None:
    run.seen = event.observed_at


RunHistory.handlers = {
    **dict.fromkeys(status_trace.HANDLERS, _noted),
    e.RunCreated: _created,
    e.RunStatusChanged: _status_changed,
    e.RunActionRequired: _action_required,
    **dict.fromkeys(e.RUN_ENDS.values(), _ended),
    e.RunUsageReported: _usage_reported,
    e.RunMetadataChanged: _metadata_changed,
    e.RunTimesChanged: _times_changed,
    e.RunStepRecorded: _step_recorded,
    e.RunVanished: _vanished,
    e.RunReappeared: _reappeared,
}
