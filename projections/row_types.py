"""The answers of the views: typed and frozen. `None` is never zero; it is what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple


class RunRow(NamedTuple):
    """One run as the table `runs` has it. Times are aware and UTC, durations in seconds.

    `status` is the last one known, or `vanished` while the service denies the run; `outcome` is
    the status of the end. `created_at` and `ended_at` are the server's stamps, or when we saw it.
    `started_at` is the server's newest: it is overwritten each time work resumes. `expires_at`
    is the last one known. While a run is open, its durations are of the phases that it left so
    far; None means no phase of the kind. Each of the four may be off by `uncertainty_seconds` at
    most, or by an unknown amount where that is None.
    """

    run_key: str
    source: str
    run_id: str
    thread_id: str | None
    assistant_id: str | None
    model: str | None
    status: str
    outcome: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    first_seen_at: datetime
    last_changed_at: datetime
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    queued_seconds: float | None
    running_seconds: float | None
    action_seconds: float | None
    total_seconds: float | None
    uncertainty_seconds: float | None
    error_code: str | None
    error_message: str | None
    incomplete_reason: str | None
    metadata: dict[str, Any]
    configuration_digest: str | None
    version: int


class PhaseRow(NamedTuple):
    """One stay in a status, as the table `run_phases` has it; `left_at` is None while it lasts.

    `uncertainty_seconds` is the width of its two bounds together, None where nothing limits it.
    `basis` says what they rest on: `server` stamps, what we `observed`, or what was `inferred`.
    """

    run_key: str
    seq: int
    status: str
    entered_at: datetime
    left_at: datetime | None
    seconds: float | None
    uncertainty_seconds: float | None
    basis: str


class ActionRow(NamedTuple):
    """One call that a run waited for, as the table `run_actions` has it.

    `seq` counts the pauses of the run. `tool_call_id` is empty, and what was called is None,
    where a pause was inferred that no poll saw. `resolved_at` is when our client submitted the
    output, or the run went on without it, whichever was first; None while it waits.
    """

    run_key: str
    seq: int
    tool_call_id: str
    type: str | None
    name: str | None
    arguments: str | None
    required_at: datetime
    resolved_at: datetime | None
    waited_seconds: float | None
    uncertainty_seconds: float | None


class StepRow(NamedTuple):
    """One step of a run, as the table `run_steps` has it, by the server's own stamps.

    `tools` are the kinds of tools that it called, or the names of functions.
    """

    run_key: str
    step_id: str
    type: str
    status: str
    tools: list[str]
    created_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None


class StuckRow(NamedTuple):
    """A run that has not ended and should have, as the view `stuck_runs` has it.

    `reason` is `overdue` where `expires_at` is past, else `slow`: open for more than three times
    `usual_seconds`, within which 99 of 100 runs of its assistant ended (None with fewer than 20).
    `silent_seconds` is how long ago anything new was seen of it; polls that show nothing new
    leave no trace in the tables.
    """

    run_key: str
    source: str
    run_id: str
    thread_id: str | None
    assistant_id: str | None
    model: str | None
    status: str
    reason: str
    created_at: datetime
    expires_at: datetime | None
    last_changed_at: datetime
    age_seconds: float
    usual_seconds: float | None
    silent_seconds: float


class TimingRow(NamedTuple):
    """How long the ended runs of one group took in one phase: queued, running, action or total.

    `runs` is how many of them this is known of. `percentiles` maps each percentage asked for to
    seconds, by nearest rank: the shortest time that so many percent of the runs did not exceed.
    They and `mean_seconds` are read from a histogram, and within 1 per cent of exact.
    `uncertainty_seconds` is the mean of what the times of each run of the group may be off by;
    None where that of any is not known.
    """

    group: Mapping[str, object]
    phase: str
    runs: int
    mean_seconds: float
    uncertainty_seconds: float | None
    percentiles: Mapping[float, float]


class UsageRow(NamedTuple):
    """The tokens of the ended runs of one group, summed over those that report them.

    A sum is None where no run of the group reports that count. `runs_without_usage` of the
    `runs` report neither prompt, completion nor total tokens.
    """

    group: Mapping[str, object]
    runs: int
    runs_without_usage: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None


class CostRow(NamedTuple):
    """What the ended runs of one group cost, in US dollars, exact to a billionth for each run.

    `runs_without_usage` of the `runs` do not tell both prompt and completion tokens;
    `unpriced_runs` do, and have no price: their model is not known, or a run would have cost
    more than can be believed. Dollars are of the others, and None where there are none.
    `price_versions` are those of the price lists that these were priced with.
    """

    group: Mapping[str, object]
    runs: int
    runs_without_usage: int
    unpriced_runs: int
    input_dollars: Decimal | None
    output_dollars: Decimal | None
    total_dollars: Decimal | None
    price_versions: tuple[str, ...]


class UnpricedRow(NamedTuple):
    """A model of a source that had no price, and how many ended runs were not priced for that.

    `model` is None where nobody said.
    """

    source: str
    model: str | None
    runs: int


class StatusCount(NamedTuple):
    """How many runs of one group are in one status."""

    group: Mapping[str, object]
    status: str
    runs: int
