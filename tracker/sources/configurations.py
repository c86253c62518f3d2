"""Reading of the configuration of a run, which most of its answers repeat unchanged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from tracker.core.json_values import storable
from tracker.core.snapshot import Configuration
from tracker.sources.fields import Fields

# A configuration above this size is read with each answer, so that few take much memory.
_LARGEST_CACHED = 64 * 1024
# Services write 1 or 1.0.
_FRACTIONS = frozenset({"temperature", "top_p"})


def read_configuration(
    fields: Fields, instructions: str | None, settings: Collection[str]
) -> Configuration | None:
    """Returns the configuration of a run; None if the document has no such field.

    `settings` are the names of the other fields, whose values are kept as sent.
    """
    document = fields.document
    names = [name for name in settings if name in document]
    if not names and not {"instructions", "tools"} & document.keys():
        return None
    sent = {
        name: _as_fraction(document[name]) if name in _FRACTIONS else document[name]
        for name in names
        if document[name] is not None
    }
    return make_configuration(instructions, _read_tools(fields), sent)


def make_configuration(
    instructions: str | None, tools: list[Any] | None, settings: Mapping[str, Any]
) -> Configuration:
    """Returns a configuration; the same object for the same values, if they were lately seen."""
    try:
        key = to_json((instructions, tools, settings))
        if len(key) <= _LARGEST_CACHED:
            return _read(key)
    except ValueError:
        # Values that are not JSON come from our own process, and not again and again.
        pass
    return _make(instructions, tools, settings)


def _read_tools(fields: Fields) -> list[Any] | None:
    tools = fields.list("tools")
    if tools is None or all(isinstance(tool, Mapping) for tool in tools):
        return tools
    fields.found.add("wrong_type_tools")
    named = [{"type": tool} if isinstance(tool, str) else tool for tool in tools]
    if all(isinstance(tool, Mapping) for tool in named):
        return named
    # Without the others it would be known which tools a run lacks.
    fields.found.add("unreadable_tools")
    return None


@lru_cache(maxsize=64)
def _read(key: bytes) -> Configuration:
    return _make(*from_json(key))


def _make(
    instructions: str | None, tools: list[Any] | None, settings: Mapping[str, Any]
) -> Configuration:
    try:
        return Configuration(
            instructions=instructions,
            tools=None if tools is None else tuple(tools),
            settings=dict(settings),
        )
    except ValueError:
        # Keys that are not texts.
        return Configuration(
            instructions=instructions,
            tools=None if tools is None else tuple(map(storable, tools)),
            settings=storable(dict(settings)),
        )


def _as_fraction(value: object) -> object:
    is_small = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return float(value) if is_small else value  # type: ignore[arg-type]
