"""Events: the recorded facts about runs. Past tense, small, frozen; a released name stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from tracker.core.identifiers import run_stream as run_stream
from tracker.core.snapshot import Configuration, RunError, ToolCall, UtcDatetime
from tracker.core.usage import Usage

UNKNOWN_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


class Event(BaseModel):
    """A recorded fact about a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The name in the store, and the version of the shape there.
    topic: ClassVar[str]
    topic_version: ClassVar[int] = 1

    # When we saw it, by our clock, UTC.
    observed_at: UtcDatetime


class Look(Event):
    """An event that comes of a look at the run, or of a document about it."""

    # When the answer was asked for, in microseconds before `observed_at`. None: a document of
    # unknown age.
    asked_at: int | None = None
    # True if our clock was set since the last look at the run.
    clock_was_set: bool = False

    @property
    def asked_moment(self) -> datetime | None:
        """Returns the time at which the answer was asked for, by our clock."""
        if self.asked_at is None:
            return None
        return self.observed_at - timedelta(microseconds=self.asked_at)


class Change(Look):
    """An event with a moment of its own: known to the server, bounded by us, or both."""

    # When it happened, by the server's stamp. None: no stamp.
    occurred_at: UtcDatetime | None = None
    # By our clock: when the last answer without it was asked for; if our own call caused it, when
    # that was sent.
    not_before: UtcDatetime | None = None
    # By our clock: the first moment that is known to be past it, if earlier than `observed_at`.
    not_after: UtcDatetime | None = None
    # True if no poll saw the state itself.
    inferred: bool = False


class RunCreated(Change):
    """The first sight of a run. Its history begins as queued."""

    topic = "run.created"

    source: str
    run_id: str
    # The status at first sight.
    status: str
    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    # The tier that was asked for; the one that served the run comes with its usage.
    service_tier: str | None = None
    expires_at: UtcDatetime | None = None
    # None: not reported.
    metadata: dict[str, Any] | None = None
    configuration_digest: str | None = None
    # True if the configuration has no tool that the run waits for.
    never_pauses: bool = False
    # The run that it belongs to, the sub-agent of its session that it is a run of, and the
    # environment that it works in, if any.
    parent_run_id: str | None = None
    subagent_id: str | None = None
    environment_id: str | None = None
    # Bounds, in microseconds, of how far the service's clock was ahead of ours, as other runs of
    # the source told them.
    ahead: tuple[int, int] | None = None


class RunStatusChanged(Change):
    """A change to a status that neither requires an action nor ends the run.

    For `in_progress`, `occurred_at` is the server's `started_at` if that is new.
    """

    topic = "run.status_changed"

    previous: str
    status: str


class RunActionRequired(Change):
    """A run began to wait for an action, or waits for other tool calls than before.

    `occurred_at` is the server's stamp of when the run stopped, if there is one.
    """

    topic = "run.action_required"

    previous: str
    # Empty if inferred.
    tool_calls: tuple[ToolCall, ...] = ()


class RunEnded(Change):
    """The base of the five ends; only its subclasses are recorded."""

    status: ClassVar[str]

    previous: str
    usage: Usage | None = None
    error: RunError | None = None
    reason: str | None = None
    # Bounds, in microseconds, of how far the service's clock was ahead of ours, as other runs of
    # the source told them.
    ahead: tuple[int, int] | None = None


class RunCompleted(RunEnded):
    """A run completed. `reason` is set if the service says that it was cut short."""

    topic = "run.completed"
    status = "completed"


class RunFailed(RunEnded):
    """A run failed; `error` is the cause."""

    topic = "run.failed"
    status = "failed"


class RunCancelled(RunEnded):
    """A run was cancelled."""

    topic = "run.cancelled"
    status = "cancelled"


class RunExpired(RunEnded):
    """A run exceeded its time limit."""

    topic = "run.expired"
    status = "expired"


class RunIncomplete(RunEnded):
    """A run hit a limit; `reason` names it."""

    topic = "run.incomplete"
    status = "incomplete"


class ToolOutputsSubmitted(Event):
    """Our own client sent the outputs of these calls, and the service accepted them."""

    topic = "run.tool_outputs_submitted"

    tool_call_ids: tuple[str, ...]


class RunStepRecorded(Event):
    """A step of a run ended."""

    topic = "run.step_recorded"

    step_id: str
    type: str
    status: str
    tools: tuple[str, ...] = ()
    tool_call_ids: tuple[str, ...] = ()
    # The server's own stamps.
    created_at: UtcDatetime | None = None
    ended_at: UtcDatetime | None = None
    usage: Usage | None = None
    error: RunError | None = None


class RunIdentified(Look):
    """The identity of a run was told after its first sight. None: nothing new.

    A thread, an assistant, a parent, a sub-agent, an environment, a creation or a configuration
    that was not known; or a model that was not known, or is another than before.
    """

    topic = "run.identified"

    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    # The server's own stamp.
    created_at: UtcDatetime | None = None
    configuration_digest: str | None = None
    # True if the configuration has no tool that the run waits for.
    never_pauses: bool = False
    parent_run_id: str | None = None
    subagent_id: str | None = None
    environment_id: str | None = None


class RunUsageReported(Look):
    """The usage of a run that has ended or waits was reported or corrected."""

    topic = "run.usage_reported"

    previous: Usage | None = None
    usage: Usage


class ThreadUsageReported(Event):
    """The service told the usage of the run's whole thread, such as that of a session of agents.

    It has the usage of this run and of others in it, so that it is added to none of them.
    """

    topic = "run.thread_usage_reported"

    previous: Usage | None = None
    usage: Usage


class EnvironmentReported(Event):
    """The service told the status of the environment that an open run works in."""

    topic = "run.environment_reported"

    environment_id: str
    # In the service's words, such as `failed`, `expired`, `suspended` or `ready`.
    status: str


class RunMetadataChanged(Look):
    """The metadata of a run was changed."""

    topic = "run.metadata_changed"

    previous: dict[str, Any]
    metadata: dict[str, Any]


class RunTimesChanged(Look):
    """The server changed a stamp of an open run but not its status. None: not changed."""

    topic = "run.times_changed"

    previous_started_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    previous_expires_at: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None


class RunVanished(Event):
    """The service said twice that it does not know the run."""

    topic = "run.vanished"


class RunReappeared(Look):
    """A run that had vanished was seen again."""

    topic = "run.reappeared"


class RunAnomalyObserved(Event):
    """The service contradicted itself; the state stays. Recorded once per `kind` and `status`."""

    topic = "run.anomaly_observed"

    # `status_went_back`, `end_changed`, or `another_thread` for a run on another thread.
    kind: str
    # The status that was shown, and the one that was known.
    status: str
    known_status: str


class ConfigurationRecorded(Event):
    """The first sight of a configuration; alone in the stream `configuration:{digest}`."""

    topic = "configuration.recorded"

    digest: str
    configuration: Configuration


class Unreadable(Event):
    """An event in the place of one that this release cannot read; it is never recorded itself.

    `observed_at` is 1970: the real one is not known.
    """

    topic = "unreadable"

    observed_at: UtcDatetime = UNKNOWN_MOMENT
    # The topic and the bytes that are stored, and why they cannot be read.
    stored_topic: str
    state: bytes
    reason: str


RUN_ENDS: dict[str, type[RunEnded]] = {
    end.status: end for end in (RunCompleted, RunFailed, RunCancelled, RunExpired, RunIncomplete)
}

_EVENT_TYPES: tuple[type[Event], ...] = (
    RunCreated,
    RunStatusChanged,
    RunActionRequired,
    *RUN_ENDS.values(),
    ToolOutputsSubmitted,
    RunStepRecorded,
    RunIdentified,
    RunUsageReported,
    ThreadUsageReported,
    EnvironmentReported,
    RunMetadataChanged,
    RunTimesChanged,
    RunVanished,
    RunReappeared,
    RunAnomalyObserved,
    ConfigurationRecorded,
)
_CONFIGURATION = "configuration:"
EVENTS: dict[str, type[Event]] = {event_type.topic: event_type for event_type in _EVENT_TYPES}


def configuration_stream(digest: str) -> str:
    """Returns the name of the stream of a configuration: `configuration:{digest}`."""
    return f"{_CONFIGURATION}{digest}"


def is_run_stream(stream: str) -> bool:
    """True if a stream is that of a run, and not of a configuration."""
    return not stream.startswith(_CONFIGURATION)
