"""Models of responses as a Responses service sends them, as lenient as those of runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from tracker.sources.stamps import Stamp
from tracker.sources.wire import Entity, Error, Incomplete, Object, Wire, object_or_none


class TokenDetails(Wire):
    """Parts of the tokens of one direction."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class DirectedTokens(Wire):
    """Tokens in and out; some look-alikes name them as Assistants services do."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None


Tokens = Annotated[DirectedTokens | None, BeforeValidator(object_or_none)]


class Response(Entity):
    """A response with its output so far; all fields but `id` and `status` may be missing."""

    object: str | None = None
    status: str
    created_at: Stamp = None
    completed_at: Stamp = None
    failed_at: Stamp = None
    cancelled_at: Stamp = None
    background: bool | None = None
    model: str | None = None
    service_tier: str | None = None
    output: list[Any] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    agent: Any = None
    prompt: Any = None
    instructions: Any = None
    tools: list[Any] | None = None
    error: Error = None
    incomplete_details: Incomplete = None
    usage: Tokens = None
    metadata: Object = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Any = None
    text: Any = None
    tool_choice: Any = None
    truncation: Any = None
