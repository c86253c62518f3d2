"""One look at a run: what a service said of it, and when it was asked.

A source maps its payloads to `RunSnapshot`; the decider knows nothing else of any service.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tracker.core.usage import Usage

UtcDatetime = AwareDatetime

# No database takes a NUL in a text, and a name of kilobytes is not one.
Identifier = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(_Frozen):
    """One call that the run waits for: `arguments` is the text that the service sent."""

    id: str
    type: str = "function"
    name: str | None = None
    arguments: str | None = None


class RunError(_Frozen):
    """Why a run failed, in the service's own words."""

    code: str | None = None
    message: str | None = None


class Configuration(_Frozen):
    """What a run was asked to work with; many runs share one. `tools` None: nobody said."""

    instructions: str | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of the canonical JSON."""
        canonical = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class RunSnapshot(_Frozen):
    """What a service said of one run at one moment. All times are aware and UTC.

    `status` is one of `tracker.core.status` where the source can map it, else as given.
    `observed_at` is when the answer reached us. `asked_at` is when the question was sent, so
    the answer is at least that new; None for a document of unknown age (a file, a webhook),
    which may be older than what is already known; for such a one `not_after` is the latest
    moment at which it can have been true, where that is known. `unchanged_until` is the last
    earlier moment at which the observer asked and saw nothing new, where it knows one.
    `created_at`, `started_at`, `expires_at` and `ended_at` are the service's own stamps; where the
    run requires an action, `ended_at` is when it stopped for that. `usage` None means that the
    service did not say.

    Some services answer a run's action with another run. `continues` is then the id of the run
    that this one goes on from, and `shows_waiting_for_ever` says that the service will show this
    one as waiting even when it has been gone on from.

    `peculiarities` name what the source took in that its API is not documented to send so; they
    are counted, and nothing is decided by them.
    """

    source: Identifier
    run_id: Identifier
    observed_at: UtcDatetime
    asked_at: UtcDatetime | None = None
    unchanged_until: UtcDatetime | None = None
    not_after: UtcDatetime | None = None

    status: Identifier
    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    created_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None
    ended_at: UtcDatetime | None = None

    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    error: RunError | None = None
    incomplete_reason: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    configuration: Configuration | None = None

    continues: Identifier | None = None
    shows_waiting_for_ever: bool = False
    peculiarities: frozenset[str] = frozenset()


class StepSnapshot(_Frozen):
    """One look at a step of a run; `tools` are the types, or for functions the names, it called."""

    step_id: Identifier
    type: str
    status: str
    tools: tuple[str, ...] = ()
    tool_call_ids: tuple[str, ...] = ()
    created_at: datetime | None = None
    ended_at: datetime | None = None
    usage: Usage | None = None
    error: RunError | None = None
