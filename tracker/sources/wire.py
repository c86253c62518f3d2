"""Typed models of answers for the caller of a resource, and the checks of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from tracker.errors import PayloadError, UnusableAnswer
from tracker.sources.answer import Answer
from tracker.sources.documents import decode, validate


def object_or_none(value: object) -> object:
    """Returns the value of a field that holds an object, None for an empty array."""
    # PHP services write an empty object as an empty array.
    return None if value == [] else value


def _error_or_none(value: object) -> object:
    return {"message": value} if isinstance(value, str) else object_or_none(value)


Object = Annotated[dict[str, Any] | None, BeforeValidator(object_or_none)]


class Wire(BaseModel):
    """A part of a document that a service sent. A value of another type than the field's is none.

    As sent, it is still in `body` of the document.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _read_alone(
        cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        """Returns the value of a field, the default for another type unless it is required."""
        try:
            return read(value)
        except ValidationError:
            field = cls.model_fields[str(info.field_name)]
            if field.is_required():
                raise
            return field.get_default(call_default_factory=True)


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


class _Identity(BaseModel):
    id: str
    status: str


class _GraphIdentity(BaseModel):
    run_id: str
    status: str


def document_of(body: bytes | Mapping[str, Any] | Answered) -> Mapping[str, Any]:
    """Returns the JSON object of a body, or of a typed model. Raises PayloadError."""
    return body.body if isinstance(body, Answered) else decode(body)


def check_identity(document: Mapping[str, Any], what: str, *, is_graph: bool = False) -> None:
    """Raises PayloadError, as `validate` does, for a document without an id or a status."""
    validate(_GraphIdentity if is_graph else _Identity, document, what)


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
    raise misfit(f"{request} brought an answer of no use, {reason}.")


def misfit(message: str) -> UnusableAnswer:
    """Returns the error of a complete answer whose document is not the one that was asked for."""
    error = UnusableAnswer(message)
    error.is_complete = True
    return error


def entries_in(request: str, page: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the `data` of a page, with an empty object for an entry that is none.

    Raises UnusableAnswer if there is no `data`, or it is no list; null is an empty list.
    """
    data = page.get("data")
    if data is None and "data" in page:
        # So do services in Go write an empty list.
        return []
    if not isinstance(data, list):
        raise misfit(f"{request} brought no list: `data` is missing.")
    return [sent if isinstance(sent, dict) else {} for sent in data]


def keep_fitting(
    entries: list[dict[str, Any]], check: Callable[[dict[str, Any]], None]
) -> tuple[list[dict[str, Any]], UnusableAnswer | None]:
    """Returns the entries that `check` does not refuse, and why it refused the first other one.

    Raises the UnusableAnswer of `check` if it refuses them all.
    """
    fitting, refusal = [], None
    for entry in entries:
        try:
            check(entry)
        except UnusableAnswer as error:
            refusal = refusal or error
        else:
            fitting.append(entry)
    if refusal is not None and not fitting:
        raise refusal
    return fitting, refusal


def goes_on(page: Mapping[str, Any]) -> bool:
    """True if a page says that there are more, be it as a text or a number."""
    return str(page.get("has_more")).lower() in ("true", "1")


def check_entity(request: str, found: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    """Raises UnusableAnswer unless a document has an id, and no field other than `expected`."""
    if not isinstance(found.get("id"), str) or not found["id"]:
        raise misfit(f"{request} brought an object without an id.")
    check_fields(request, found, expected)


def check_fields(request: str, found: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    """Raises UnusableAnswer if a document has a field with another value than `expected`."""
    for name, value in expected.items():
        sent = found.get(name)
        is_number = isinstance(sent, int) and not isinstance(sent, bool)
        fits = (str(sent) if is_number else sent) in (value, None)
        if not fits and not _is_called_run(name, value, found):
            # The other value is not repeated: it may be anything, a key too.
            raise misfit(f"{request} brought another {name} than {value!r}.")


def _is_called_run(name: str, value: str, found: Mapping[str, Any]) -> bool:
    # Some look-alikes call any run so.
    return name == "object" and not value.endswith("step") and found.get(name) == "run"
