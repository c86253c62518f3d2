"""The rows of the answers: typed and immutable. None means unknown; it never stands for zero.

Times are aware datetimes in UTC, durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

GROUP, PERCENTILES, RANGES = "group", "percentiles", "ranges"


class Row:
    """A row of an answer. Its fields are read by name; a program that wants a dict calls `record`.

    It is a frozen dataclass: `dataclasses.replace` changes a copy, and web frameworks make a JSON
    object of it.
    """

    __slots__ = ()

    def record(self) -> dict[str, Any]:
        """Returns a flat dict of the row.

        A `group` becomes one entry per name, `percentiles` become one per percentage, like
        `p95_seconds`, and `ranges` two, like `p95_at_least_seconds` and `p95_at_most_seconds`.
        """
        record: dict[str, Any] = {}
        for name in field_names(type(self)):
            value = getattr(self, name)
            if name == GROUP:
                record |= value
            elif name == PERCENTILES:
                record |= {percentile_name(percent): it for percent, it in value.items()}
            elif name == RANGES:
                for percent, bounds in value.items():
                    record |= dict(zip(range_names(percent), bounds, strict=True))
            elif isinstance(value, tuple) and value and isinstance(value[0], Row):
                record[name] = [it.record() for it in value]
            else:
                record[name] = value
        return record


def field_names(row_type: type) -> tuple[str, ...]:
    """Returns the names of the fields of a class of rows, in their order."""
    return tuple(it.name for it in fields(row_type))


def percentile_name(percent: float) -> str:
    """Returns the name of the entry or column of a percentage."""
    return f"p{percent:g}_seconds"


def range_names(percent: float) -> tuple[str, str]:
    """Returns the names of the entries or columns of the bounds of a percentage."""
    return f"p{percent:g}_at_least_seconds", f"p{percent:g}_at_most_seconds"


@dataclass(frozen=True, slots=True)
class RunRow(Row):
    """One run, as in the table `runs`, with its cost.

    The durations of an open run are those of the phases that it has left so far. None means that
    it had no such phase, or that the evidence leaves too much open; then the bounds tell how much.
    """

    run_key: str
    source: str
    run_id: str
    thread_id: str | None
    assistant_id: str | None
    model: str | None
    # The run, and the sub-agent of its session (its thread), that it belongs to, if any.
    parent_run_id: str | None
    subagent_id: str | None
    # The last known status, or `vanished` while the service does not find the run.
    status: str
    # The final status; None while the run is open.
    outcome: str | None
    # The server's timestamp, or else the first moment at which the run is known.
    created_at: datetime
    # The server's latest start: it is overwritten each time the run resumes.
    started_at: datetime | None
    # The server's timestamp, or else an estimate, or else the time of our observation.
    ended_at: datetime | None
    # The last known one.
    expires_at: datetime | None
    first_seen_at: datetime
    last_changed_at: datetime
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    # Parts of the tokens written to a cache, by how long it keeps them.
    cache_write_5m_tokens: int | None
    cache_write_30m_tokens: int | None
    cache_write_1h_tokens: int | None
    cache_write_12h_tokens: int | None
    # The tier that served the run, or else the one that was asked for.
    service_tier: str | None
    queued_seconds: float | None
    running_seconds: float | None
    action_seconds: float | None
    total_seconds: float | None
    # By how much the four durations may be off, as far as they are known; None if nothing limits
    # it.
    uncertainty_seconds: float | None
    # The bounds of each, also where the duration is not known; None: no limit, or no such phase.
    queued_at_least_seconds: float | None
    queued_at_most_seconds: float | None
    running_at_least_seconds: float | None
    running_at_most_seconds: float | None
    action_at_least_seconds: float | None
    action_at_most_seconds: float | None
    total_at_least_seconds: float | None
    total_at_most_seconds: float | None
    error_code: str | None
    error_message: str | None
    incomplete_reason: str | None
    metadata: dict[str, Any]
    configuration_digest: str | None
    # The tokens of its whole thread as last told with this run, and when (`reported_at`); see
    # `session_usage`.
    thread_usage: dict[str, Any] | None
    # The last status of its environment that a webhook told, such as `failed` or `suspended`.
    environment_status: str | None
    # The number of events of the run.
    version: int
    # Of the table `run_costs`; None while the run is open, and without a price.
    total_dollars: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PhaseRow(Row):
    """One phase of a run, as in the table `run_phases`."""

    run_key: str
    # The number of the phase, from 1.
    seq: int
    # `unknown` if the run was queued and worked, and nothing tells when the one became the other.
    status: str
    # Estimates by the server's clock, or by ours where the server gives no timestamps.
    entered_at: datetime
    # None while the phase is open.
    left_at: datetime | None
    # None while the phase is open, or if the bounds leave too much open.
    seconds: float | None
    # By how much `seconds` may be off; None if that is not known, or nothing limits it.
    uncertainty_seconds: float | None
    # The source of the times: `server` timestamps, our observations (`observed`), or `inferred`;
    # `unknown` as the status; `disputed` if the evidence contradicts itself.
    basis: str
    at_least_seconds: float | None
    # None if nothing limits it.
    at_most_seconds: float | None


@dataclass(frozen=True, slots=True)
class ActionRow(Row):
    """One call that a run waited for, as in the table `run_actions`."""

    run_key: str
    # The number of the pause within the run, from 1.
    seq: int
    # Empty for a pause that was inferred without an observation; the call is then unknown.
    tool_call_id: str
    type: str | None
    name: str | None
    arguments: str | None
    required_at: datetime
    # When our client submitted the output, or the run resumed without it, whichever came first;
    # None while the run waits for it.
    resolved_at: datetime | None
    # None while the run waits for it, or if the bounds leave too much open.
    waited_seconds: float | None
    uncertainty_seconds: float | None
    at_least_seconds: float | None
    # None if nothing limits it.
    at_most_seconds: float | None


@dataclass(frozen=True, slots=True)
class StepRow(Row):
    """One step of a run, as in the table `run_steps`, with the server's timestamps."""

    run_key: str
    step_id: str
    type: str
    status: str
    # The types of the tools that it called, or the names of functions.
    tools: list[str]
    created_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    # Parts of the tokens written to a cache, by how long it keeps them.
    cache_write_5m_tokens: int | None
    cache_write_30m_tokens: int | None
    cache_write_1h_tokens: int | None
    cache_write_12h_tokens: int | None


@dataclass(frozen=True, slots=True)
class StuckRow(Row):
    """An open run that should have ended, as in the view `stuck_runs`."""

    run_key: str
    source: str
    run_id: str
    thread_id: str | None
    assistant_id: str | None
    model: str | None
    status: str
    # `overdue` if `expires_at` has passed; `environment failed`, `environment expired` or
    # `environment suspended` if it cannot go on; else `slow`: open for more than three times
    # `usual_seconds`.
    reason: str
    created_at: datetime
    expires_at: datetime | None
    last_changed_at: datetime
    # The time since the creation.
    age_seconds: float
    # The duration that 99 of 100 runs of its assistant did not exceed; None for fewer than 20.
    usual_seconds: float | None
    # The time since the last change; polls without a change are not recorded in the tables.
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class OpenRunRow(Row):
    """A run that has not ended, as in the view `open_runs`, with its phases."""

    run_key: str
    source: str
    run_id: str
    thread_id: str | None
    assistant_id: str | None
    model: str | None
    status: str
    created_at: datetime
    started_at: datetime | None
    expires_at: datetime | None
    last_changed_at: datetime
    # As in `RunRow`.
    environment_status: str | None
    # The time since the creation.
    age_seconds: float
    # The time since the last change; polls without a change are not recorded in the tables.
    silent_seconds: float
    # First to last; the last one is open.
    phases: tuple[PhaseRow, ...]


@dataclass(frozen=True, slots=True)
class FailureRow(Row):
    """The failed runs of one error code."""

    # None if the service named none.
    error_code: str | None
    runs: int
    # The part of all failed runs that were counted, from 0 to 1.
    share: float
    # Of the run that was created last: its creation, its key, and the message of its error.
    last_created_at: datetime
    last_run_key: str
    last_message: str | None


@dataclass(frozen=True, slots=True)
class TimingRow(Row):
    """The durations of the ended runs of one group in one phase.

    Mean and percentiles come from a histogram, and are within 1 per cent of the exact values.
    """

    group: Mapping[str, object]
    # `queued`, `running`, `action` or `total`.
    phase: str
    # The number of runs with a known duration, and of the others that had the phase or may have
    # had it. Mean and percentiles are of the first, the bounds of all.
    runs: int
    unknown: int
    # None if no duration is known.
    mean_seconds: float | None
    mean_at_least_seconds: float | None
    # None if nothing limits that of one run.
    mean_at_most_seconds: float | None
    # Seconds for each requested percentage, by nearest rank: the shortest duration that this
    # percentage of the runs did not exceed.
    percentiles: Mapping[float, float | None]
    # The bounds of each percentile: of all runs, the true one is between them.
    ranges: Mapping[float, tuple[float | None, float | None]]

    @property
    def known_percentiles(self) -> dict[float, float]:
        """The percentiles; none if no duration is known."""
        return {percent: it for percent, it in self.percentiles.items() if it is not None}


@dataclass(frozen=True, slots=True)
class UsageRow(Row):
    """The tokens of the ended runs of one group.

    A sum is over the runs that report the count, and None if no run does.
    """

    group: Mapping[str, object]
    runs: int
    # Those that report neither prompt, completion nor total tokens.
    runs_without_usage: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    # Parts of the tokens written to a cache, by how long it keeps them.
    cache_write_5m_tokens: int | None
    cache_write_30m_tokens: int | None
    cache_write_1h_tokens: int | None
    cache_write_12h_tokens: int | None


@dataclass(frozen=True, slots=True)
class SessionUsageRow(Row):
    """One part of the tokens of a session, or of another thread.

    `session` is the service's own count of all of it, `turns` the sum over the runs of the thread
    itself, each `subagent` the sum over those of one sub-agent, and `difference` the first without
    all others: what the service counts in no run. A sum is over the runs that report the count,
    and None if no run does; so is a difference from it.
    """

    part: str
    subagent_id: str | None
    # None for `session` and `difference`.
    runs: int | None
    # Those that report neither prompt, completion nor total tokens.
    runs_without_usage: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None


@dataclass(frozen=True, slots=True)
class OpenUsage(Row):
    """The tokens of runs that reported some and have not ended, such as those that wait."""

    runs: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class CostRow(Row):
    """The costs of the ended runs of one group, exact to a billionth of a dollar per run.

    Costs are of the priced runs, in US dollars, and None if there are none.
    """

    group: Mapping[str, object]
    runs: int
    # Those that do not report both prompt and completion tokens.
    runs_without_usage: int
    # Those with usage but without a price: the model or the price of its service tier is unknown,
    # or the cost is implausibly high.
    unpriced_runs: int
    input_dollars: Decimal | None
    output_dollars: Decimal | None
    # Includes what some models cost for each request.
    total_dollars: Decimal | None
    # The versions of the price lists that were used.
    price_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnpricedRow(Row):
    """A model of a source without a price, or without one for a service tier."""

    source: str
    # None if no run reported it.
    model: str | None
    # The number of ended runs that could not be priced.
    runs: int
    # None if no run reported it.
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class StatusCount(Row):
    """The number of runs of one group in one status."""

    group: Mapping[str, object]
    status: str
    runs: int
