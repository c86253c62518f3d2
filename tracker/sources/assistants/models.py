"""Models of runs and their steps as an Assistants service sends them.

Validation is lenient: unknown fields are kept as sent, any text is accepted where the
documentation lists values, and all fields but `id` and `status` may be missing or null. Stamps are
aware times in UTC, and unix seconds again in JSON; see `read_stamp`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from tracker.sources.stamps import Stamp
from tracker.sources.wire import Entity, Error, Incomplete, Object, Wire, object_or_none


class PromptTokenDetails(Wire):
    """Parts of the prompt tokens."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionTokenDetails(Wire):
    """Parts of the completion tokens."""

    reasoning_tokens: int | None = None


class TokenUsage(Wire):
    """Tokens of a run or a step. OpenAI sends `prompt_token_details`, look-alikes with an s."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_token_details: PromptTokenDetails | None = None
    prompt_tokens_details: PromptTokenDetails | None = None
    completion_tokens_details: CompletionTokenDetails | None = None


class Function(Wire):
    """A function that may be called, or a call of one: `arguments` is JSON as text."""

    name: str | None = None
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None
    arguments: Any = None
    output: Any = None


class Tool(Wire):
    """A tool of a run: `code_interpreter`, `file_search`, `retrieval`, `function` or any other."""

    type: str | None = None
    function: Function | None = None
    file_search: Object = None


class RunToolCall(Wire):
    """A call that a run waits for."""

    id: str | None = None
    type: str | None = None
    function: Function | None = None


class SubmitToolOutputs(Wire):
    """The calls whose outputs a run waits for."""

    tool_calls: list[RunToolCall] | None = None


class RequiredAction(Wire):
    """The action that a run waits for; the content of other types is in extra fields."""

    type: str | None = None
    submit_tool_outputs: SubmitToolOutputs | None = None


class TruncationStrategy(Wire):
    """The part of its thread that a run reads."""

    type: str | None = None
    last_messages: int | None = None


Tokens = Annotated[TokenUsage | None, BeforeValidator(object_or_none)]
Action = Annotated[RequiredAction | None, BeforeValidator(object_or_none)]


class Run(Entity):
    """A run of an assistant on a thread."""

    object: str | None = None
    thread_id: str | None = None
    assistant_id: str | None = None
    status: str
    created_at: Stamp = None
    started_at: Stamp = None
    expires_at: Stamp = None
    completed_at: Stamp = None
    cancelled_at: Stamp = None
    failed_at: Stamp = None
    required_action: Action = None
    last_error: Error = None
    incomplete_details: Incomplete = None
    usage: Tokens = None
    model: str | None = None
    instructions: str | None = None
    tools: list[Tool] | None = None
    file_ids: list[str] | None = None
    tool_resources: Object = None
    metadata: Object = None
    temperature: float | None = None
    top_p: float | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: TruncationStrategy | None = None
    response_format: Any = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None

    @property
    def tool_calls(self) -> list[RunToolCall]:
        """The calls whose outputs the run waits for; empty while it waits for none."""
        outputs = self.required_action and self.required_action.submit_tool_outputs
        return (outputs and outputs.tool_calls) or []


class MessageCreation(Wire):
    """The message that a step wrote."""

    message_id: str | None = None


class StepToolCall(Wire):
    """A call that a step made; its result is under the name of its type."""

    id: str | None = None
    type: str | None = None
    function: Function | None = None
    code_interpreter: Object = None
    file_search: Object = None


class StepDetails(Wire):
    """The content of a step: `message_creation` or `tool_calls`."""

    type: str | None = None
    message_creation: MessageCreation | None = None
    tool_calls: list[StepToolCall] | None = None


class RunStep(Entity):
    """A step of a run."""

    object: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    assistant_id: str | None = None
    type: str | None = None
    status: str
    created_at: Stamp = None
    expires_at: Stamp = None
    completed_at: Stamp = None
    cancelled_at: Stamp = None
    failed_at: Stamp = None
    expired_at: Stamp = None
    step_details: StepDetails | None = None
    last_error: Error = None
    usage: Tokens = None
    metadata: Object = None
