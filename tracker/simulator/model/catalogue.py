"""Sample data of simulated assistants: models, tools, arguments and replies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Any

from tracker.simulator.model.identifiers import stable_hash

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "o4-mini")

_FUNCTIONS: dict[str, tuple[str, dict[str, tuple[object, ...]]]] = {
    "get_weather": (
        "The weather at a place, now or on a day to come.",
        {"city": ("Lisbon", "Oslo", "Kyoto", "Bogotá"), "unit": ("celsius", "fahrenheit")},
    ),
    "find_order": (
        "Looks an order up by its number.",
        {"order_number": ("A-10377", "A-20418", "B-99120"), "with_items": (True, False)},
    ),
    "issue_refund": (
        "Pays money back for an order.",
        {"order_number": ("A-10377", "B-99120"), "amount": (12.5, 49.9, 180), "reason": ("late",)},
    ),
    "convert_currency": (
        "Converts an amount at today's rate.",
        {"amount": (100, 2500, 99.95), "source": ("EUR", "GBP"), "target": ("USD", "JPY")},
    ),
    "book_meeting": (
        "Puts a meeting into a calendar.",
        {"title": ("Review", "Handover"), "minutes": (15, 30, 60), "guests": (["ana", "bo"], [])},
    ),
    "search_tickets": (
        "Finds support tickets by their text.",
        {"text": ("login fails", "invoice missing"), "open_only": (True, False), "limit": (5, 20)},
    ),
}

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array"}

REPLIES = (
    "Here is what I found.",
    "Done. Tell me if you want it changed.",
    "I have looked into it: the figures agree.",
    "There are three options; the second fits best.",
)

CODE = (
    "table = load('sales.csv')\ntable.groupby('region').sum()",
    "sum(n * n for n in range(1, 101))",
    "plot(series, kind='line')",
)

FILES = ("handbook.pdf", "prices-2026.csv", "contract.docx", "minutes.txt")


def kind_of(assistant_id: str, kinds: int) -> int:
    """Returns the kind of an assistant, from 0 to `kinds` - 1."""
    return stable_hash("kind", assistant_id) % kinds


def default_model(assistant_id: str) -> str:
    """Returns the model of an assistant that was not created by a client."""
    return MODELS[stable_hash("model", assistant_id) % len(MODELS)]


@lru_cache(maxsize=1024)
def default_tools(assistant_id: str) -> list[dict[str, Any]]:
    """Returns three functions and the built-in tools, for an assistant not created by a client.

    The list is cached: do not modify it.
    """
    names = Random(stable_hash("tools", assistant_id)).sample(sorted(_FUNCTIONS), 3)
    functions = [{"type": "function", "function": _make_definition(each)} for each in names]
    return [*functions, {"type": "code_interpreter"}, {"type": "file_search"}]


def draw_arguments(rng: Random, definition: dict[str, Any]) -> str:
    """Draws arguments that fit a function's definition, as JSON text.

    Supports object schemas with properties of basic types; other schemas give `{}`.
    """
    sample = _FUNCTIONS.get(str(definition.get("name")))
    if sample:
        return json.dumps({key: rng.choice(values) for key, values in sample[1].items()})

    parameters = definition.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict):
        return "{}"

    return json.dumps({key: _draw_value(rng, schema) for key, schema in properties.items()})


def list_functions(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the definitions of the functions among the tools."""
    return [
        tool["function"]
        for tool in tools
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    ]


def list_built_in_tools(tools: Sequence[Any]) -> list[str]:
    """Returns the types of the tools that the service runs by itself."""
    return [
        "file_search" if tool["type"] == "retrieval" else str(tool["type"])
        for tool in tools
        if isinstance(tool, dict)
        and tool.get("type") in ("code_interpreter", "file_search", "retrieval")
    ]


def _make_definition(function: str) -> dict[str, Any]:
    description, values = _FUNCTIONS[function]
    properties = {key: {"type": _TYPES[type(each[0])]} for key, each in values.items()}
    return {
        "name": function,
        "description": description,
        "parameters": {"type": "object", "properties": properties, "required": list(properties)},
        "strict": False,
    }


def _draw_value(rng: Random, schema: object) -> object:
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return rng.choice(schema["enum"])

    match schema.get("type"):
        case "integer":
            return rng.randrange(100)
        case "number":
            return round(rng.uniform(0, 100), 2)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return []
        case "object":
            return {}
        case _:
            return rng.choice(("alpha", "beta", "gamma"))
