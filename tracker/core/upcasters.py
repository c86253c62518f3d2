"""Upcasters: they convert events of older shapes to the newest when events are read.

An upcaster takes the JSON object of one version of a topic and returns that of the next. A change
of the shape of an event raises its `topic_version`, adds the step here, and keeps the line of the
old shape in `tests/golden/events.jsonl`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

# By topic and the version that the upcaster reads. All topics are at version 1.
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}


def upcast(
    topic: str,
    version: int,
    target: int,
    fields: dict[str, Any],
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> dict[str, Any]:
    """Returns `fields` of `version` in the shape of `target`.

    Raises LookupError if a step is missing.
    """
    for step in range(version, target):
        if (topic, step) not in upcasters:
            raise LookupError(f"no upcaster from version {step} of {topic!r}")
        fields = upcasters[topic, step](fields)
    return fields
