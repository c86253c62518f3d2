"""What a service sends otherwise than its API is documented to, and is taken in all the same. Pure.

Look-alikes differ from what they look like in ways that nobody sees: a stamp in milliseconds, a
usage that is never told. Each way has a name, which a snapshot carries and a tracker counts.

| name | what came |
| --- | --- |
| `unknown_status` | a status that the API does not have |
| `no_…` | nothing in a field that each run has, by its name |
| `no_end_stamp` | a run that completed, without a stamp of that |
| `no_usage`, `zero_usage` | a run that completed, without tokens or with none |
| `tokens_not_adding_up` | a total that is not the sum of what came in and went out |
| `negative_tokens` | counts below zero |
| `stamps_not_in_seconds` | milliseconds, or finer, for seconds |
| `stamps_as_text`, `stamps_as_numbers` | each where the other is documented |
| `zero_stamps` | zero, a negative number or an empty text for a stamp that there is not |
| `empty_array_for_object` | `[]` where an object belongs |
| `error_as_text` | a text where an object belongs |
| `action_without_calls` | a run that requires an action, and does not say which |
| `unknown_action`, `unknown_error_code` | a type, or a reason, that the API does not have |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tracker.sources.stamps import TOO_LARGE_FOR_SECONDS

_IN, _OUT = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")


class Documented(NamedTuple):
    """What an API is documented to send of a run.

    `fields` are those that each run has, `stamps` its moments, `ends` those of a run that
    `completed`, which has a usage where `has_usage`. `objects` hold an object or null.
    """

    statuses: frozenset[str]
    completed: str
    fields: tuple[str, ...]
    stamps: tuple[str, ...]
    ends: tuple[str, ...]
    objects: tuple[str, ...]
    error: str = "error"
    error_codes: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    has_usage: bool = True
    stamps_are_texts: bool = False


def peculiarities(
    document: Mapping[str, Any], documented: Documented, *, lacks_calls: bool
) -> frozenset[str]:
    """The names of what is peculiar about a run's document that was read without complaint.

    `lacks_calls`: it requires an action, and no calls were found.
    """
    return frozenset(_found(document, documented, lacks_calls))


def _found(document: Mapping[str, Any], documented: Documented, lacks_calls: bool) -> Iterator[str]:
    status = document.get("status")
    if status not in documented.statuses:
        yield "unknown_status"
    for name in documented.fields:
        if document.get(name) is None:
            yield f"no_{name}"
    for name in documented.stamps:
        if (value := document.get(name)) is not None:
            yield from _stamp(value, documented.stamps_are_texts)
    for name in documented.objects:
        if document.get(name) == []:
            yield "empty_array_for_object"
    usage = document.get("usage") or None
    if status == documented.completed:
        if not any(document.get(name) for name in documented.ends):
            yield "no_end_stamp"
        if usage is None and documented.has_usage:
            yield "no_usage"
    if isinstance(usage, Mapping):
        yield from _usage(usage, is_complete=status == documented.completed)
    error = document.get(documented.error)
    if isinstance(error, str):
        yield "error_as_text"
    elif documented.error_codes and isinstance(error, Mapping):
        code = error.get("code")
        if code is not None and code not in documented.error_codes:
            yield "unknown_error_code"
    action = document.get("required_action")
    kind = action.get("type") if isinstance(action, Mapping) else None
    if documented.actions and kind is not None and kind not in documented.actions:
        yield "unknown_action"
    if lacks_calls:
        yield "action_without_calls"


def _stamp(value: object, is_text: bool) -> Iterator[str]:
    if isinstance(value, str):
        if not value:
            yield "zero_stamps"
        elif not is_text:
            yield "stamps_as_text"
    elif isinstance(value, (int, float)):
        if is_text:
            yield "stamps_as_numbers"
        elif value >= TOO_LARGE_FOR_SECONDS:
            yield "stamps_not_in_seconds"
        elif value <= 0:
            yield "zero_stamps"


def _usage(usage: Mapping[str, Any], *, is_complete: bool) -> Iterator[str]:
    counts = [
        next((usage[name] for name in names if isinstance(usage.get(name), int)), None)
        for names in (_IN, _OUT, ("total_tokens",))
    ]
    said = [count for count in counts if count is not None]
    if any(count < 0 for count in said):
        yield "negative_tokens"
    elif is_complete and not any(said):
        yield "zero_usage"
    elif len(said) == 3 and said[0] + said[1] != said[2]:
        yield "tokens_not_adding_up"
