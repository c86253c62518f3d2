"""Peculiarities: known ways in which the answers of a service differ from its API's documentation.

Look-alikes of an API differ from it in ways that are easy to miss, such as a timestamp in
milliseconds or a usage that is never sent. Such answers are accepted. Each difference has a name,
which snapshots carry and trackers count.

| name | the service sent |
| --- | --- |
| `another_id` | another id than the one asked for, in an answer that else is about the run |
| `unknown_status` | a status that the API does not have |
| `no_…` | nothing in a field that each run has, by its name |
| `no_end_stamp` | a completed run without the time of its end |
| `no_usage`, `zero_usage` | a completed run without tokens, or with zero tokens |
| `tokens_not_adding_up` | a total that is not the sum of the tokens in and out |
| `negative_tokens` | counts below zero |
| `stamps_not_in_seconds` | milliseconds, or a finer unit, for seconds |
| `stamps_as_text`, `stamps_as_numbers` | each where the other is documented |
| `zero_stamps` | a zero time, a negative number, or a word for nothing for a missing timestamp |
| `empty_array_for_object` | `[]` in place of an object |
| `error_as_text` | a text in place of an object |
| `action_without_calls` | a run that requires an action, without its calls |
| `unreadable_…` | a field, by its name, that says nothing: it counts as not sent |
| `wrong_type_…` | a field, by its name, in another type than documented, which was read |
| `unstorable_…` | a field, by its name, with over 64 levels, a huge integer or NaN |
| `unknown_action`, `unknown_error_code` | a type, or a reason, that the API does not have |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tracker.core.usage import Usage
from tracker.sources.stamps import TOO_LARGE_FOR_SECONDS, read_stamp, says_no_time


class Documented(NamedTuple):
    """The documented fields and values of a run in one API."""

    statuses: frozenset[str]
    # The status of a run that succeeded.
    completed: str
    # The fields that each run has.
    fields: tuple[str, ...]
    # The fields that hold a time.
    stamps: tuple[str, ...]
    # The stamps of which a completed run has one.
    ends: tuple[str, ...]
    # The fields that hold an object or null.
    objects: tuple[str, ...]
    # The field of the error.
    error: str = "error"
    # Its codes, and the types of `required_action`; empty if any may come.
    error_codes: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    # True if a completed run has a usage.
    has_usage: bool = True
    stamps_are_texts: bool = False


def peculiarities(
    document: Mapping[str, Any],
    documented: Documented,
    usage: Usage | None = None,
    *,
    lacks_calls: bool = False,
) -> frozenset[str]:
    """Returns the names of the peculiarities of a valid document of a run.

    `usage` are the tokens that were read from it; `lacks_calls` is True if the run requires an
    action, and no calls were found.
    """
    return frozenset(_find(document, documented, usage, lacks_calls))


def _find(
    document: Mapping[str, Any], documented: Documented, usage: Usage | None, lacks_calls: bool
) -> Iterator[str]:
    status = document.get("status")
    if status not in documented.statuses:
        yield "unknown_status"
    for name in documented.fields:
        if document.get(name) is None:
            yield f"no_{name}"
    for name in documented.stamps:
        if (value := document.get(name)) is not None:
            yield from _check_stamp(value, documented.stamps_are_texts)
    for name in documented.objects:
        if document.get(name) == []:
            yield "empty_array_for_object"
    if status == documented.completed:
        if not any(read_stamp(document.get(name)) for name in documented.ends):
            yield "no_end_stamp"
        if documented.has_usage and not document.get("usage"):
            yield "no_usage"
    if usage is not None:
        yield from _check_usage(usage, is_complete=status == documented.completed)
    error = document.get(documented.error)
    if isinstance(error, str):
        yield "error_as_text"
    elif documented.error_codes and isinstance(error, Mapping):
        code = error.get("code")
        if isinstance(code, str) and code not in documented.error_codes:
            yield "unknown_error_code"
    action = document.get("required_action")
    action_type = action.get("type") if isinstance(action, Mapping) else None
    if documented.actions and action_type not in (None, *documented.actions):
        yield "unknown_action"
    if lacks_calls:
        yield "action_without_calls"


def _check_stamp(value: object, is_text: bool) -> Iterator[str]:
    if says_no_time(value):
        yield "zero_stamps"
    elif isinstance(value, str):
        if not is_text:
            yield "stamps_as_text"
    elif isinstance(value, (int, float)):
        if is_text:
            yield "stamps_as_numbers"
        elif value >= TOO_LARGE_FOR_SECONDS:
            yield "stamps_not_in_seconds"


def _check_usage(usage: Usage, *, is_complete: bool) -> Iterator[str]:
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    sent = [count for count in counts if count is not None]
    if is_complete and not any(sent):
        yield "zero_usage"
    elif len(sent) == 3 and sent[0] + sent[1] != sent[2]:
        yield "tokens_not_adding_up"
