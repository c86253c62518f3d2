"""Snapshots of a run: the state that a service reported, and when it was asked for.

A source maps its payloads to `RunSnapshot`; the decider knows nothing else of any service.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from operator import is_
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from tracker.core.identifiers import Identifier, SourceName
from tracker.core.json_values import storable
from tracker.core.moments import is_plausible
from tracker.core.usage import Usage

# With an offset it may be outside the years 1 to 9999 in UTC, and then no table could hold it.
UtcDatetime = Annotated[
    AwareDatetime,
    Field(ge=datetime.min.replace(tzinfo=UTC), le=datetime.max.replace(tzinfo=UTC)),
]
# Tools that the service runs by itself; any other can stop a run until somebody answers.
_SERVER_SIDE_TOOLS = frozenset({"code_interpreter", "file_search", "retrieval"})
# Stands for a moment of which nothing is known.
UNTOLD = datetime(1970, 1, 1, tzinfo=UTC)
# The stamps of the service in a snapshot.
_STAMPS = ("created_at", "started_at", "expires_at", "ended_at")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(_Frozen):
    """A tool call whose output or approval a run waits for."""

    id: str
    type: str = "function"
    name: str | None = None
    # The text that the service sent, not parsed.
    arguments: str | None = None


class RunError(_Frozen):
    """The reason for a failure, in the service's own words."""

    code: str | None = None
    message: str | None = None


class Configuration(_Frozen):
    """Instructions, tools and settings of a run; many runs share one."""

    instructions: str | None = None
    # None: not reported.
    tools: tuple[dict[str, Any], ...] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of the canonical JSON."""
        canonical = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def never_pauses(self) -> bool:
        """True if the tools are known, and none of them makes a run wait for an answer."""
        return self.tools is not None and all(
            str(tool.get("type")) in _SERVER_SIDE_TOOLS for tool in self.tools
        )

    @cached_property
    def replacement(self) -> Configuration | None:
        """The configuration with storable values; None if it has no others."""
        tools, settings = self.tools, storable(self.settings)
        # Each tool by itself: the field is a tuple, and an array of JSON is a list.
        kept = None if tools is None else tuple(map(storable, tools))
        if all(map(is_, kept or (), tools or ())) and settings is self.settings:
            return None
        return Configuration(instructions=self.instructions, tools=kept, settings=settings)


class RunSnapshot(_Frozen):
    """The state of one run as a service reported it. All times are aware and UTC."""

    source: SourceName
    run_id: Identifier

    # When the response reached us.
    observed_at: UtcDatetime
    # When the request was sent: the response is at least that new. None for a document of unknown
    # age (a file, a webhook), which may be older than the known state.
    asked_at: UtcDatetime | None = None
    # The earliest moment at which the request can have been sent, if `asked_at` is not the moment
    # itself: a line of a file may tell its arrival only. `UNTOLD` if nothing is known.
    asked_since: UtcDatetime | None = None
    # The last earlier moment at which the observer asked and saw nothing new, if it knows one.
    unchanged_until: UtcDatetime | None = None
    # The call of ours that this answers, if it changes the run; it was sent at `asked_at`.
    call: Literal["create", "submit", "cancel"] | None = None
    # True if our clock was set since the last look at the run.
    clock_was_set: bool = False
    # Bounds, in microseconds, of how far the service's clock is ahead of ours, if they are known.
    ahead: tuple[int, int] | None = None
    # For a document of unknown age: the latest moment at which it can have been true, if known.
    not_after: UtcDatetime | None = None

    # One of `tracker.core.status` where the source can map it, else as given.
    status: Identifier
    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    # The tier that was asked for, or that is shown for now; the one that served it is in `usage`.
    service_tier: str | None = None
    # True if the model is that of the thread when it was asked for: it never replaces a known one.
    has_model_of_thread: bool = False
    # The service's own stamps. If the run requires an action, `ended_at` is when it stopped for it.
    created_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None
    ended_at: UtcDatetime | None = None

    tool_calls: tuple[ToolCall, ...] = ()
    # None: not reported.
    usage: Usage | None = None
    error: RunError | None = None
    incomplete_reason: str | None = None
    # None: not reported.
    metadata: dict[str, Any] | None = None
    configuration: Configuration | None = None

    # The run that it belongs to, the sub-agent of its session that it is a run of, and the
    # environment that it works in.
    parent_run_id: Identifier | None = None
    subagent_id: Identifier | None = None
    environment_id: Identifier | None = None
    # The usage of the run's whole thread; it has that of this run, and is added to none.
    thread_usage: Usage | None = None

    # Some services answer a run's action with another run: the id of the run that this continues.
    continues: Identifier | None = None
    # The service keeps reporting this run as waiting after its successor has started.
    stays_waiting: bool = False
    # Deviations from the documented API that the source tolerated: counted, never decided upon.
    peculiarities: frozenset[str] = frozenset()

    def on_thread(self, thread_id: str | None) -> RunSnapshot:
        """Returns this snapshot, on a thread that the caller named if it shows none.

        Some services name no thread in a run, and only answer requests that do.
        """
        if self.thread_id is not None or not thread_id:
            return self
        return self.model_copy(update={"thread_id": thread_id})

    @model_validator(mode="before")
    @classmethod
    def _keep_storable_values(cls, fields: Any) -> Any:
        """Replaces values that an event cannot be read back with, and names their fields.

        A stamp before the year 2000 or after 2199 is none.
        """
        if not isinstance(fields, dict):
            return fields
        replaced = {}
        if isinstance(metadata := fields.get("metadata"), Mapping):
            fields = {**fields, "metadata": metadata if type(metadata) is dict else dict(metadata)}
            replaced["metadata"] = storable(fields["metadata"])
        if isinstance(configuration := fields.get("configuration"), Configuration):
            replaced["configuration"] = configuration.replacement or configuration
        found = {
            f"unstorable_{name}" for name, value in replaced.items() if value is not fields[name]
        }
        for name in _find_implausible(fields):
            replaced[name] = None
            found.add(f"unreadable_{name}")
        if not found:
            return fields
        known = fields.get("peculiarities") or frozenset()
        return {**fields, **replaced, "peculiarities": frozenset(known) | found}


def _find_implausible(fields: Mapping[str, Any]) -> list[str]:
    """Returns the names of the stamps that no run can have."""
    moments = ((name, fields.get(name)) for name in _STAMPS)
    return [name for name, it in moments if isinstance(it, datetime) and not is_plausible(it)]


class StepSnapshot(_Frozen):
    """The state of a step of a run as a service reported it."""

    step_id: Identifier
    type: str
    status: str
    # The types of the tools that it called, or for functions their names.
    tools: tuple[str, ...] = ()
    tool_call_ids: tuple[str, ...] = ()
    created_at: datetime | None = None
    ended_at: datetime | None = None
    usage: Usage | None = None
    error: RunError | None = None
    # Deviations from the documented API that the source tolerated: counted, never decided upon.
    peculiarities: frozenset[str] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _keep_plausible_stamps(cls, fields: Any) -> Any:
        """Replaces a stamp before the year 2000 or after 2199 by none, and names its field."""
        names = _find_implausible(fields) if isinstance(fields, dict) else []
        if not names:
            return fields
        known = fields.get("peculiarities") or frozenset()
        found = frozenset(known) | {f"unreadable_{name}" for name in names}
        return {**fields, **dict.fromkeys(names), "peculiarities": found}
