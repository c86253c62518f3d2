"""Wire types shared by all APIs, and the reading of fields and answers that they have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
)

from tracker.core.snapshot import RunError
from tracker.core.usage import Usage
from tracker.errors import PayloadError, UnusableAnswer
from tracker.sources.answer import Answer
from tracker.sources.documents import validate


def object_or_none(value: object) -> object:
    """Returns the value of a field that holds an object, None for an empty array."""
    # PHP services write an empty object as an empty array.
    return None if value == [] else value


def _error_or_none(value: object) -> object:
    return {"message": value} if isinstance(value, str) else object_or_none(value)


Object = Annotated[dict[str, Any] | None, BeforeValidator(object_or_none)]


class Wire(BaseModel):
    """A part of a document that a service sent."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Answered(Wire):
    """A document that came in an answer of its own, or in the answer of its page."""

    _answer: Answer | None = PrivateAttr(default=None)
    _body: dict[str, Any] | None = PrivateAttr(default=None)

    @property
    def answer(self) -> Answer | None:
        """The answer that this document, or its page, came in; None if it came otherwise."""
        return self._answer

    @property
    def body(self) -> dict[str, Any]:
        """This document alone, as it was sent."""
        return (
            self.model_dump(mode="json", exclude_unset=True) if self._body is None else self._body
        )

    def __eq__(self, other: object) -> bool:
        # Two documents with the same content are equal, whenever they came.
        return type(self) is type(other) and _content(self) == _content(other)


Document = TypeVar("Document", bound=Answered)


def _content(model: BaseModel) -> tuple[object, object]:
    return model.__dict__, model.model_extra


class Entity(Answered):
    """A document with an id."""

    id: str


class LastError(Wire):
    """The error that a run or a step failed with."""

    code: str | None = None
    message: str | None = None


class IncompleteDetails(Wire):
    """The limit that a run hit."""

    reason: str | None = None


Error = Annotated[LastError | None, BeforeValidator(_error_or_none)]
Incomplete = Annotated[IncompleteDetails | None, BeforeValidator(object_or_none)]


def text_of(value: object) -> str | None:
    """Returns a text as it is, and another value as its JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def counted(**counts: int | None) -> Usage | None:
    """Returns token counts as a usage, None if the service sent no count. Raises PayloadError."""
    # Some services send a count below zero for one that they did not make.
    known = {name: count for name, count in counts.items() if count is not None and count >= 0}
    return validate(Usage, known, "countable: usage") if known else None


def run_error(sent: LastError | None) -> RunError | None:
    """Returns the error of a run, in the service's own words."""
    return RunError(code=sent.code, message=sent.message) if sent else None


def attach_answer(document: Document, answer: Answer, body: dict[str, Any]) -> Document:
    """Returns the document, which now knows the answer that it came in, and its own body."""
    document._answer, document._body = answer, body
    return document


def read_answer(
    model: type[Document], answer: Answer, body: dict[str, Any], request: str
) -> Document:
    """Returns the body of an answer as a model. Raises UnusableAnswer if it is not one.

    `request` is the method and the path, for the error.
    """
    try:
        return attach_answer(validate(model, body, "what was asked for"), answer, body)
    except PayloadError as error:
        reason = str(error)
    raise UnusableAnswer(f"{request} brought an answer of no use, {reason}.")


def check_entity(request: str, found: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    """Raises UnusableAnswer unless a document has an id, and no field other than `expected`."""
    if not isinstance(found.get("id"), str) or not found["id"]:
        raise UnusableAnswer(f"{request} brought an object without an id.")
    check_fields(request, found, expected)


def check_fields(request: str, found: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    """Raises UnusableAnswer if a document has a field with another value than `expected`."""
    for name, value in expected.items():
        if found.get(name) not in (value, None) and not _is_called_run(name, value, found):
            # The other value is not repeated: it may be anything, a key too.
            raise UnusableAnswer(f"{request} brought another {name} than {value!r}.")


def _is_called_run(name: str, value: str, found: Mapping[str, Any]) -> bool:
    # Some look-alikes call any run so.
    return name == "object" and not value.endswith("step") and found.get(name) == "run"
