"""A tool: a function, its arguments checked against its annotations, and its result as text."""

from __future__ import annotations

import contextvars
import inspect
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json, to_json

from tracker.errors import SettingsError, ToolArgumentsRefused

# Returns the output of a call that failed, or raises to have it tried again.
OnError = Callable[[Exception], str | Awaitable[str]]

_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NAMED_PROBLEMS = 5


class Output(NamedTuple):
    """The output of a call: its text, and the value that the text was made of."""

    text: str
    value: object
    is_error: bool = False


class Tool:
    """A function that answers the calls of one name.

    With `once`, a call that was begun is never made again. Raises SettingsError for a function
    whose arguments cannot be named.
    """

    def __init__(
        self, function: Callable[..., Any], name: str | None, once: bool, on_error: OnError | None
    ) -> None:
        if not callable(function):
            raise SettingsError(f"a tool has to be a function, not a {type(function).__name__}")
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.once, self.on_error = once, on_error
        self._function = function
        self._arguments, self._names = _make_model(function, self.name)

    async def call(self, arguments: str | None, threads: Executor) -> Output:
        """Returns the output of a call; what the function raises is raised.

        A plain function is called in one of `threads`. Raises ToolArgumentsRefused for arguments
        that do not fit.
        """
        checked = self._check(arguments)
        call = partial(self._function, **checked)
        if inspect.iscoroutinefunction(self._function):
            result = await call()
        else:
            run = contextvars.copy_context().run
            result = await get_running_loop().run_in_executor(threads, run, call)
            if inspect.isawaitable(result):
                result = await result
        return Output(write_text(result), result)

    def _check(self, arguments: str | None) -> dict[str, Any]:
        given = _read(arguments)
        if not isinstance(given, dict) and len(self._names) == 1:
            given = {self._names[0]: given}
        if not isinstance(given, dict):
            raise ToolArgumentsRefused(f"the arguments of {self.name} are not a JSON object")
        try:
            found = self._arguments.model_validate_json(to_json(given))
        except ValidationError as error:
            raise ToolArgumentsRefused(
                f"the arguments of {self.name} do not fit: {_describe(error)}"
            ) from None
        values = vars(found)
        # A parameter that was not given has the default of the function itself.
        return {
            name: values[field]
            for name, field in zip(self._names, self._arguments.model_fields, strict=True)
            if field in found.model_fields_set
        }


def write_text(value: object) -> str:
    """Returns a result as text: a text as it is, nothing as the empty text, else JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value, fallback=str).decode()


def _read(arguments: str | None) -> object:
    if not arguments or not arguments.strip():
        return {}
    try:
        return from_json(arguments)
    except ValueError:
        # The value of an interrupt may be a text.
        return arguments


def _make_model(function: Callable[..., Any], tool: str) -> tuple[type[BaseModel], list[str]]:
    """Returns a model of the arguments of a function, and the names of its parameters."""
    try:
        parameters = inspect.signature(function).parameters.values()
        hints = get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise SettingsError(f"the annotations of the tool {tool} cannot be read: {error}") from None
    fields: dict[str, Any] = {}
    for number, it in enumerate(parameters):
        if it.kind not in _KINDS:
            raise SettingsError(
                f"the tool {tool} takes {it}: a call has arguments by name, so name each of them"
            )
        default = ... if it.default is it.empty else None
        # Under a name of our own: that of a parameter may be one of a model's attributes.
        kind = hints.get(it.name, Any)
        fields[f"field_{number}"] = (kind, Field(default, alias=it.name))
    model = create_model(
        "Arguments",
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **fields,
    )
    return model, [it.name for it in parameters]


def _describe(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    described = [f"{'.'.join(map(str, it['loc'])) or 'they'}: {it['msg']}" for it in problems]
    more = len(described) - _NAMED_PROBLEMS
    return "; ".join(described[:_NAMED_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
