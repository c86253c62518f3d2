"""The row of a run, folded from its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from math import inf
from operator import attrgetter
from typing import Any, ClassVar

from projections.folding import status_trace
from projections.folding.durations import KINDS, Duration
from projections.folding.evidence import is_stamped
from projections.folding.json_text import json_text, key_text, plain_text
from projections.folding.micros import micros, micros_or_none, seconds
from projections.folding.phases import duration_columns, uncertainty_of
from projections.folding.status_trace import Measured, StatusTrace
from tracker.core import events as e
from tracker.core.status import ENDED, IN_PROGRESS
from tracker.core.usage import TOKEN_COUNTS, Usage

VANISHED = "vanished"
# Of one run: more is a mistake of the service, and the sum of a million such runs still fits in
# 63 bits.
MAX_TOKENS = 10**12

_COUNTS = attrgetter(*TOKEN_COUNTS)
_NO_USAGE = (None,) * len(TOKEN_COUNTS)


class RunTrace(StatusTrace):
    """The trace of a run and the other values of its row: times in microseconds."""

    __slots__ = (
        "configuration_digest",
        "created_at",
        "ended_at",
        "environment_status",
        "error_code",
        "error_message",
        "first_seen_at",
        "identity",
        "incomplete_reason",
        "is_vanished",
        "last_changed_at",
        "metadata",
        "service_tier",
        "started_at",
        "thread_usage",
        "tokens",
    )
    handlers: ClassVar[Mapping[type[e.Event], Callable[[Any, Any], None]]]

    def __init__(self, key: str) -> None:
        super().__init__(key)
        # Source, run, thread, assistant, model, parent and sub-agent, as the row has them.
        self.identity: tuple[str | None, ...] = ()
        # The stamp of the service.
        self.created_at: int | None = None
        self.first_seen_at = 0
        self.started_at: int | None = None
        self.ended_at: int | None = None
        # Converted when the row is written: only the last one is used, and converting takes time.
        self.last_changed_at = e.UNKNOWN_MOMENT
        self.tokens: tuple[int | None, ...] = _NO_USAGE
        self.service_tier: str | None = None
        self.error_code: str | None = None
        self.error_message: str | None = None
        self.incomplete_reason: str | None = None
        # As JSON.
        self.metadata = "{}"
        self.configuration_digest: str | None = None
        # As JSON.
        self.thread_usage: str | None = None
        self.environment_status: str | None = None
        self.is_vanished = False


def plausible_tokens(usage: Usage | None) -> tuple[int | None, ...]:
    """Returns the token counts, implausibly large ones as None: they would dominate every sum."""
    if usage is None:
        return _NO_USAGE
    counts: tuple[int | None, ...] = _COUNTS(usage)
    if any(it is not None and it > MAX_TOKENS for it in counts):
        return tuple(None if it is not None and it > MAX_TOKENS else it for it in counts)
    return counts


def stored_name(name: str | None) -> str | None:
    """Shortens a name for its column: an index entry has a limit that a service's text has not."""
    return key_text(name) if name else name


def row_values(run: RunTrace, measured: Measured) -> list[Any]:
    """Returns the row of a run, in the order of `RunRow`, times in microseconds.

    Durations are the sums of the phases that were left, None before the first of their kind;
    `running_seconds` includes all statuses but queued and requires_action. `uncertainty_seconds` is
    the largest of the four that are known. A vanished run keeps its phase open; its next
    observation restores the status.
    """
    line, estimate, _ = measured
    last = line[-1].status
    outcome = last if last in ENDED else None
    durations = [estimate.kinds.get(kind) for kind in KINDS]
    durations.append(None if outcome is None else estimate.total)
    ended_at = None
    if outcome is not None:
        ended_at = run.ended_at
        if ended_at is None:
            ended_at = _find_end(run, measured)
    columns = [duration_columns(it) for it in durations]
    return [
        run.key,
        *run.identity,
        VANISHED if run.is_vanished and outcome is None else stored_name(last),
        outcome,
        _find_creation(run),
        run.started_at,
        ended_at,
        run.expires_at,
        run.first_seen_at,
        micros(run.last_changed_at),
        *run.tokens,
        run.service_tier,
        *(value for value, _, _ in columns),
        seconds(_find_uncertainty(durations)),
        *(bound for _, least, most in columns for bound in (least, most)),
        run.error_code,
        run.error_message,
        run.incomplete_reason,
        run.metadata,
        run.configuration_digest,
        run.thread_usage,
        run.environment_status,
        run.version,
    ]


def _find_end(run: RunTrace, measured: Measured) -> int:
    """Returns the estimate of an end without a stamp, or else the time of our observation."""
    line, estimate, _ = measured
    if estimate.has_last:
        return estimate.moments[-1]
    seen = line[-1].until
    return micros(run.last_changed_at) if seen == inf else int(seen)


def _find_creation(run: RunTrace) -> int:
    """Returns the stamp of the creation, or else the first moment at which the run is known."""
    if run.created_at is not None:
        return run.created_at
    stamps = (int(it.low) for it in run.transitions if is_stamped(it))
    return min((run.first_seen_at, *stamps))


def _find_uncertainty(durations: Sequence[Duration | None]) -> int | None:
    """Returns by how much the known durations may be off; None if nothing limits that."""
    largest: int | None = None
    for duration in durations:
        if duration is None or duration.value is None:
            continue
        if duration.at_most == inf:
            return None
        found = uncertainty_of(duration) or 0
        largest = found if largest is None or found > largest else largest
    return largest


def _on_created(run: RunTrace, event: e.RunCreated) -> None:
    status_trace.on_created(run, event)
    run.identity = (
        event.source,
        event.run_id,
        stored_name(event.thread_id),
        stored_name(event.assistant_id),
        stored_name(event.model),
        stored_name(event.parent_run_id),
        stored_name(event.subagent_id),
    )
    run.service_tier = stored_name(event.service_tier)
    run.created_at = micros_or_none(event.occurred_at)
    run.first_seen_at = micros(event.observed_at)
    run.metadata = json_text(event.metadata or {})
    run.configuration_digest = stored_name(event.configuration_digest)
    run.last_changed_at = event.observed_at


def _touch(run: RunTrace, event: e.Event) -> None:
    """Records when the run changed; news of an earlier time does not move it back."""
    if event.observed_at > run.last_changed_at:
        run.last_changed_at = event.observed_at


def _on_identified(run: RunTrace, event: e.RunIdentified) -> None:
    status_trace.on_identified(run, event)
    told = (
        *(None, None, event.thread_id, event.assistant_id, event.model),
        *(event.parent_run_id, event.subagent_id),
    )
    run.identity = tuple(
        known if news is None else stored_name(news)
        for known, news in zip(run.identity, told, strict=True)
    )
    if event.created_at is not None:
        run.created_at = micros(event.created_at)
    if event.configuration_digest is not None:
        run.configuration_digest = stored_name(event.configuration_digest)
    _touch(run, event)


def _on_submitted(run: RunTrace, event: e.ToolOutputsSubmitted) -> None:
    status_trace.on_submitted(run, event)
    _touch(run, event)


def _on_status_changed(run: RunTrace, event: e.RunStatusChanged) -> None:
    status_trace.on_status_changed(run, event)
    if event.status == IN_PROGRESS and event.occurred_at is not None:
        run.started_at = micros(event.occurred_at)
    run.is_vanished = False
    _touch(run, event)


def _on_action_required(run: RunTrace, event: e.RunActionRequired) -> None:
    status_trace.on_action_required(run, event)
    run.is_vanished = False
    _touch(run, event)


def _on_ended(run: RunTrace, event: e.RunEnded) -> None:
    status_trace.on_ended(run, event)
    run.ended_at = micros_or_none(event.occurred_at)
    if event.usage is not None:
        run.tokens = plausible_tokens(event.usage)
    _set_tier(run, event.usage)
    if event.error is not None:
        run.error_code = plain_text(event.error.code)
        run.error_message = plain_text(event.error.message)
    run.incomplete_reason = plain_text(event.reason)
    _touch(run, event)


def _on_usage_reported(run: RunTrace, event: e.RunUsageReported) -> None:
    # A count that a later report leaves out is still valid.
    run.tokens = tuple(
        old if new is None else new
        for old, new in zip(run.tokens, plausible_tokens(event.usage), strict=True)
    )
    _set_tier(run, event.usage)
    _touch(run, event)


def _on_thread_usage_reported(run: RunTrace, event: e.ThreadUsageReported) -> None:
    counts = zip(TOKEN_COUNTS, plausible_tokens(event.usage), strict=True)
    told = {name: count for name, count in counts if count is not None}
    run.thread_usage = json_text(
        {"reported_at": event.observed_at.astimezone(UTC).isoformat(), **told}
    )
    _touch(run, event)


def _on_environment_reported(run: RunTrace, event: e.EnvironmentReported) -> None:
    run.environment_status = stored_name(event.status)
    _touch(run, event)


def _set_tier(run: RunTrace, usage: Usage | None) -> None:
    if usage is not None and usage.service_tier is not None:
        run.service_tier = stored_name(usage.service_tier)


def _on_metadata_changed(run: RunTrace, event: e.RunMetadataChanged) -> None:
    run.metadata = json_text(event.metadata)
    _touch(run, event)


def _on_times_changed(run: RunTrace, event: e.RunTimesChanged) -> None:
    status_trace.on_times_changed(run, event)
    run.started_at = micros_or_none(event.started_at) or run.started_at
    _touch(run, event)


def _on_step_recorded(run: RunTrace, event: e.RunStepRecorded) -> None:
    status_trace.on_step_recorded(run, event)
    _touch(run, event)


def _on_vanished(run: RunTrace, event: e.RunVanished) -> None:
    run.is_vanished = True
    _touch(run, event)


def _on_reappeared(run: RunTrace, event: e.RunReappeared) -> None:
    run.is_vanished = False
    _touch(run, event)


def _on_other(run: RunTrace, event: e.Event) -> None:
    _touch(run, event)


RunTrace.handlers = {
    **dict.fromkeys(status_trace.HANDLERS, _on_other),
    e.RunCreated: _on_created,
    e.RunIdentified: _on_identified,
    e.ToolOutputsSubmitted: _on_submitted,
    e.RunStatusChanged: _on_status_changed,
    e.RunActionRequired: _on_action_required,
    **dict.fromkeys(e.RUN_ENDS.values(), _on_ended),
    e.RunUsageReported: _on_usage_reported,
    e.ThreadUsageReported: _on_thread_usage_reported,
    e.EnvironmentReported: _on_environment_reported,
    e.RunMetadataChanged: _on_metadata_changed,
    e.RunTimesChanged: _on_times_changed,
    e.RunStepRecorded: _on_step_recorded,
    e.RunVanished: _on_vanished,
    e.RunReappeared: _on_reappeared,
}
