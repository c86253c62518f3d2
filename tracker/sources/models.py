"""Runs and their steps as an Assistants service sends them.

The wire is taken as it comes: fields that are not named here are kept as given, any text may
stand where the documentation lists values, and all but `id` and `status` may be missing or null.
Stamps are aware times in UTC, and unix seconds again in JSON; see `read_stamp`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr

from tracker.sources.answer import Answer
from tracker.sources.stamps import Stamp


def object_or_none(value: object) -> object:
    """The value of a field that holds an object."""
    # PHP services write an empty object as an empty array.
    return None if value == [] else value


def _error_or_none(value: object) -> object:
    return {"message": value} if isinstance(value, str) else object_or_none(value)


Object = Annotated[dict[str, Any] | None, BeforeValidator(object_or_none)]


class Wire(BaseModel):
    """A part of a document that a service sent."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Answered(Wire):
    """A document that came in an answer of its own, or in that of its page."""

    _answer: Answer | None = PrivateAttr(default=None)
    _body: dict[str, Any] | None = PrivateAttr(default=None)

    @property
    def answer(self) -> Answer | None:
        """The answer in which this came, be it that of a whole page; None if it came otherwise."""
        return self._answer

    @property
    def body(self) -> dict[str, Any]:
        """This document alone, as it was sent."""
        return (
            self.model_dump(mode="json", exclude_unset=True) if self._body is None else self._body
        )

    def __eq__(self, other: object) -> bool:
        # Two looks that show the same are equal, whenever they came.
        return type(self) is type(other) and _content(self) == _content(other)


def _content(model: BaseModel) -> tuple[object, object]:
    return model.__dict__, model.model_extra


class LastError(Wire):
    """Why a run or a step failed."""

    code: str | None = None
    message: str | None = None


class IncompleteDetails(Wire):
    """Which limit a run hit."""

    reason: str | None = None


class PromptTokenDetails(Wire):
    """What the prompt tokens include."""

    cached_tokens: int | None = None


class CompletionTokenDetails(Wire):
    """What the completion tokens include."""

    reasoning_tokens: int | None = None


class TokenUsage(Wire):
    """Tokens of a run or a step. OpenAI sends `prompt_token_details`, look-alikes an s more."""

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
    """What a run waits for; of other types than `submit_tool_outputs`, the content is extra."""

    type: str | None = None
    submit_tool_outputs: SubmitToolOutputs | None = None


class TruncationStrategy(Wire):
    """How much of its thread a run reads."""

    type: str | None = None
    last_messages: int | None = None


Error = Annotated[LastError | None, BeforeValidator(_error_or_none)]
Incomplete = Annotated[IncompleteDetails | None, BeforeValidator(object_or_none)]
Tokens = Annotated[TokenUsage | None, BeforeValidator(object_or_none)]
Action = Annotated[RequiredAction | None, BeforeValidator(object_or_none)]


class Run(Answered):
    """A run of an assistant on a thread."""

    id: str
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


class MessageCreation(Wire):
    """The message that a step wrote."""

    message_id: str | None = None


class StepToolCall(Wire):
    """A call that a step made; what came of it is under the name of its type."""

    id: str | None = None
    type: str | None = None
    function: Function | None = None
    code_interpreter: Object = None
    file_search: Object = None


class StepDetails(Wire):
    """What a step did: `message_creation` or `tool_calls`."""

    type: str | None = None
    message_creation: MessageCreation | None = None
    tool_calls: list[StepToolCall] | None = None


class RunStep(Answered):
    """A step of a run."""

    id: str
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
