"""Readings that the mappings of all APIs share, and what their typed answers are made of."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
)

from tracker.core.snapshot import RunError
from tracker.core.usage import Usage
from tracker.sources.answer import Answer
from tracker.sources.documents import read


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


Error = Annotated[LastError | None, BeforeValidator(_error_or_none)]


Incomplete = Annotated[IncompleteDetails | None, BeforeValidator(object_or_none)]


def text_of(value: object) -> str | None:
    """A value as text: one that is none as its JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def counted(**counts: int | None) -> Usage | None:
    """Counts as a usage, None where the service said none. Raises PayloadError."""
    # A count below zero is how some services write that they did not count.
    said = {name: count for name, count in counts.items() if count is not None and count >= 0}
    return read(Usage, said, "countable: usage") if said else None


def failure(sent: LastError | None) -> RunError | None:
    """Why a run failed, in the service's own words."""
    return RunError(code=sent.code, message=sent.message) if sent else None
