"""What can happen to a run. Past tense, small, frozen; a released name stays for good.

Every event says when we saw it (`observed_at`, our clock, UTC). A change also says when the
server says it happened (`occurred_at`, or None), the last moment known not to show it yet
(`not_before`), the first known to be past it where that is earlier than we saw it
(`not_after`), and whether no poll saw the state itself (`inferred`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from tracker.core.snapshot import Configuration, RunError, ToolCall, UtcDatetime
from tracker.core.usage import Usage


class Event(BaseModel):
    """A fact about a run. `topic` is its name in the store, `topic_version` its shape there."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    topic: ClassVar[str]
    topic_version: ClassVar[int] = 1

    observed_at: UtcDatetime


class Change(Event):
    """A fact with a moment of its own, known to the server, bounded by us, or both."""

    occurred_at: UtcDatetime | None = None
    not_before: UtcDatetime | None = None
    not_after: UtcDatetime | None = None
    inferred: bool = False


class RunCreated(Change):
    """First sight of a run. `status` is what it showed then; its history opens as queued."""

    topic = "run.created"

    source: str
    run_id: str
    status: str
    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    expires_at: UtcDatetime | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    configuration_digest: str | None = None


class RunStatusChanged(Change):
    """A run went to a status that neither needs action nor ends it.

    For `in_progress`, `occurred_at` is the server's `started_at` where that is new.
    """

    topic = "run.status_changed"

    previous: str
    status: str


class RunActionRequired(Change):
    """A run waits for us, or waits for other calls than before; no calls where inferred.

    `occurred_at` is the server's stamp of when it stopped, where there is one.
    """

    topic = "run.action_required"

    previous: str
    tool_calls: tuple[ToolCall, ...] = ()


class RunEnded(Change):
    """What the five ends have in common; never recorded as such."""

    status: ClassVar[str]

    previous: str
    usage: Usage | None = None
    error: RunError | None = None
    reason: str | None = None


class RunCompleted(RunEnded):
    """A run did its work. `reason` is set where the service says that it was cut short."""

    topic = "run.completed"
    status = "completed"


class RunFailed(RunEnded):
    """A run failed; `error` says why."""

    topic = "run.failed"
    status = "failed"


class RunCancelled(RunEnded):
    """A run was cancelled."""

    topic = "run.cancelled"
    status = "cancelled"


class RunExpired(RunEnded):
    """A run ran out of time."""

    topic = "run.expired"
    status = "expired"


class RunIncomplete(RunEnded):
    """A run hit a limit; `reason` says which."""

    topic = "run.incomplete"
    status = "incomplete"


class ToolOutputsSubmitted(Event):
    """Our own client sent the outputs of these calls, and the service took them."""

    topic = "run.tool_outputs_submitted"

    tool_call_ids: tuple[str, ...]


class RunStepRecorded(Event):
    """A step of the run came to its end, with the server's own stamps."""

    topic = "run.step_recorded"

    step_id: str
    type: str
    status: str
    tools: tuple[str, ...] = ()
    tool_call_ids: tuple[str, ...] = ()
    created_at: UtcDatetime | None = None
    ended_at: UtcDatetime | None = None
    usage: Usage | None = None
    error: RunError | None = None


class RunUsageReported(Event):
    """The usage of a run that ended or waits was told, or corrected."""

    topic = "run.usage_reported"

    previous: Usage | None = None
    usage: Usage


class RunMetadataChanged(Event):
    """Somebody changed the metadata of a run."""

    topic = "run.metadata_changed"

    previous: dict[str, Any]
    metadata: dict[str, Any]


class RunTimesChanged(Event):
    """The server moved a stamp of an open run without changing its status; None: not moved."""

    topic = "run.times_changed"

    previous_started_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    previous_expires_at: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None


class RunVanished(Event):
    """The service twice said that it knows no such run."""

    topic = "run.vanished"


class RunReappeared(Event):
    """A run that had vanished was seen again."""

    topic = "run.reappeared"


class RunAnomalyObserved(Event):
    """The service contradicted what it had said; the state stays. Once for each `kind`, `status`.

    Kinds: `status_went_back`, `end_changed`.
    """

    topic = "run.anomaly_observed"

    kind: str
    status: str
    known_status: str


class ConfigurationRecorded(Event):
    """First sight of a configuration; alone in the stream `configuration:{digest}`."""

    topic = "configuration.recorded"

    digest: str
    configuration: Configuration


RUN_ENDS: dict[str, type[RunEnded]] = {
    end.status: end for end in (RunCompleted, RunFailed, RunCancelled, RunExpired, RunIncomplete)
}

_KINDS: tuple[type[Event], ...] = (
    RunCreated,
    RunStatusChanged,
    RunActionRequired,
    *RUN_ENDS.values(),
    ToolOutputsSubmitted,
    RunStepRecorded,
    RunUsageReported,
    RunMetadataChanged,
    RunTimesChanged,
    RunVanished,
    RunReappeared,
    RunAnomalyObserved,
    ConfigurationRecorded,
)
EVENTS: dict[str, type[Event]] = {kind.topic: kind for kind in _KINDS}


def run_stream(source: str, run_id: str) -> str:
    """The stream that holds one run: `{source}:{run_id}`."""
    return f"{source}:{run_id}"


def configuration_stream(digest: str) -> str:
    """The stream that holds one configuration: `configuration:{digest}`."""
    return f"configuration:{digest}"
