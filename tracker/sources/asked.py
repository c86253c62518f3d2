"""Answers to requests for one run: some proxies give a run another id in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from tracker.sources.answer import Answer
from tracker.sources.wire import check_entity, check_fields

# The peculiarity of an answer that differs in its id alone from one about the run asked for.
ANOTHER_ID = "another_id"


def check_answer(
    request: str,
    answer: Answer,
    found: Mapping[str, Any],
    run_id: str,
    expected: Mapping[str, str],
    id_field: str = "id",
) -> tuple[Answer, dict[str, Any]]:
    """Returns the answer to a request for a run by its id, and its object, under that id.

    An object of the `expected` fields with another id is taken for the run; the answer then has
    its id as `given_id`. Raises UnusableAnswer for an object without an id, for one with another
    id that lacks a field of `expected`, and for one with another value there.
    """
    given_id = found.get(id_field)
    check_entity(request, {**found, "id": given_id}, expected)
    if given_id == run_id:
        return answer, dict(found)
    if any(found.get(name) is None for name in expected):
        check_fields(request, {"id": given_id}, {"id": run_id})
    document = {**found, id_field: run_id}
    return replace(answer, body=to_json(document), given_id=given_id), document
