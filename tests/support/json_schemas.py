"""JSON Schemas of the documents that runfold writes and reads, made from the classes behind them.

`python -m tests.support.json_schemas` writes the files in `.github/schemas`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from jsonschema import Draft202012Validator, FormatChecker
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from projections import Views, metadata
from projections.database.schema import STATE_TABLES
from projections.queries.grouping import COLUMNS, DAY, HOUR
from tests.support.paths import ROOT
from tests.support.public_surface import list_view_columns
from tracker.core.events import EVENTS, ConfigurationRecorded, Event, RunCreated
from tracker.heartbeats.heartbeat import Heartbeat

Schema = dict[str, Any]

FOLDER = ROOT / ".github" / "schemas"
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_INTEGER: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}
# The percentiles that `runfold timing` prints.
_PERCENTILES = ("p50_seconds", "p95_seconds", "p99_seconds")
_RANGES = tuple(
    f"p{it}_{bound}_seconds" for it in (50, 95, 99) for bound in ("at_least", "at_most")
)
_LAST_VERSION = 2**31 - 1
_LINE_WIDTH = 96
_FORMATS = FormatChecker(formats=())


def make_schemas() -> dict[str, Schema]:
    """Returns each schema by the name of its file."""
    return {
        "cli.schema.json": _make_cli(),
        "events.schema.json": _make_events(),
        "import.schema.json": _make_import(),
        "tables.schema.json": _make_tables(),
    }


def write_schemas() -> None:
    """Writes the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, schema in make_schemas().items():
        (FOLDER / name).write_text(_lay_out(schema) + "\n", "utf-8")


def make_validator(file: str, definition: str | None = None) -> Draft202012Validator:
    """Returns a validator by the schema in a file, or by one of its definitions.

    It checks the formats of times and dates too.
    """
    schema = json.loads((FOLDER / file).read_text("utf-8"))
    if definition is not None:
        schema = {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]}
    return Draft202012Validator(schema, format_checker=_FORMATS)


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


def _lay_out(value: Any, indent: str = "") -> str:
    """Returns JSON with an indent of two spaces; an object that fits on a line is not broken."""
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(indent + text) <= _LINE_WIDTH:
        return text
    deeper = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_lay_out(it, deeper)}" for name, it in value.items()]
        first, last = "{}"
    else:
        parts = [_lay_out(it, deeper) for it in value]
        first, last = "[]"
    return first + f"\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{last}"


def _make_events() -> Schema:
    definitions: dict[str, Schema] = {}
    lines: dict[str, Schema] = {}
    for kind in EVENTS.values():
        event, inner = _make_event(kind)
        definitions |= inner
        lines[kind.__name__] = _make_object(
            {
                "stream": _make_stream(kind),
                "version": _make_version(kind),
                "topic": {"const": f"{kind.topic}/{kind.topic_version}"},
                "event": event,
            }
        )
    return _make_document(
        "events",
        "A line of `runfold export --events`: one definition for each kind of event. "
        "A field that is left out has its default.",
        {**lines, **definitions},
        oneOf=_make_references(lines),
    )


def _make_import() -> Schema:
    run: Schema = {
        "description": "A run as its service sends it.",
        "type": "object",
        "anyOf": [{"required": ["id"]}, {"required": ["run_id"]}],
        "required": ["status"],
        "not": {"required": ["body"]},
    }
    snapshot = _make_object(
        {
            "observed_at": {
                "description": "Unix seconds, or ISO 8601 with its offset.",
                "anyOf": [_TIME, {"type": "number"}, {"type": "null"}],
            },
            "asked_at": {
                "description": "When the answer was asked for: no later than `observed_at`.",
                "anyOf": [_TIME, {"type": "number"}, {"type": "null"}],
            },
            "call": {
                "description": "The call that this answers, if it is the one that made the run.",
                "enum": ["create", None],
            },
            "source": _TEXT_OR_NULL,
            "body": {"$ref": "#/$defs/run"},
        },
        required=["body"],
    )
    return _make_document(
        "import",
        "A line that `runfold import` reads: a run, or a run with the time and the source of "
        "its observation. Steps, pages and arrays of runs, events of streams and webhooks that "
        "show a run are read too, and lines of `runfold export --events`: see events.schema.json.",
        {"run": run, "snapshot": snapshot},
        oneOf=_make_references(("run", "snapshot")),
    )


def _make_cli() -> Schema:
    entries: dict[str, Schema] = {}
    inner: dict[str, Schema] = {}
    for kind in EVENTS.values():
        event, of_event = _make_event(kind)
        inner |= of_event
        place = {
            "position": _INTEGER | {"minimum": 1},
            "version": _make_version(kind),
            "topic": {"const": f"{kind.topic}/{kind.topic_version}"},
        }
        entries[kind.__name__] = _make_object(
            place | event["properties"], required=[*place, *event["required"]]
        )
    entries["Unreadable"] = _make_object(
        {
            "position": _INTEGER | {"minimum": 1},
            "version": _INTEGER | {"minimum": 1},
            "topic": {"type": "string"},
            "unreadable": {"type": "string"},
        }
    )
    history = {"type": "array", "minItems": 1, "items": {"oneOf": _make_references(entries)}}
    commands = {
        "runs": _make_rows(Views.runs),
        "status": _make_rows(Views.status_counts),
        "timing": _make_rows(Views.timing),
        "usage": _make_rows(Views.usage),
        "cost": _make_rows(Views.cost),
        "cost_unpriced": _make_rows(Views.unpriced),
        "actions": _make_rows(Views.actions),
        "stuck": _make_rows(Views.stuck),
        "history": history,
        "deliveries": _make_deliveries(),
        "doctor": _make_doctor(),
    }
    return _make_document(
        "cli",
        "The output of the commands with `--json`: one definition for each command.",
        {**commands, **entries, **inner},
    )


def _make_tables() -> Schema:
    tables: dict[str, Schema] = {}
    for name, table in metadata.tables.items():
        if name not in STATE_TABLES:
            tables[name] = _make_object(
                {it.name: _make_column(it) for it in table.columns if not it.name.startswith("_")}
            )
    hints = get_type_hints(_find_row_type(Views.runs)) | get_type_hints(_find_row_type(Views.stuck))
    for name, columns in list_view_columns().items():
        tables[name] = _make_object({column: _make_value(hints[column]) for column in columns})
    return _make_document(
        "tables",
        "A line of `runfold export --table NAME`: one definition for each table and view.",
        tables,
    )


def _make_document(
    name: str, description: str, definitions: Mapping[str, Schema], **more: Any
) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:runfold:schema:{name}",
        "description": description,
        **more,
        "$defs": dict(definitions),
    }


def _make_object(properties: Mapping[str, Schema], *, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties) if required is None else required,
        "properties": dict(properties),
    }


def _make_references(names: Iterable[str]) -> list[Schema]:
    return [{"$ref": f"#/$defs/{name}"} for name in names]


class _Untitled(GenerateJsonSchema):
    """Pydantic's schemas without a title for each field."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _make_event(kind: type[Event]) -> tuple[Schema, dict[str, Schema]]:
    """Returns the schema of the fields of an event, and those of the objects inside it."""
    made = kind.model_json_schema(
        mode="serialization",
        ref_template="#/$defs/{model}",
        schema_generator=_Untitled,
    )
    inner = made.pop("$defs", {})
    return _strip(made), {name: _strip(schema) for name, schema in inner.items()}


def _strip(model: Schema) -> Schema:
    """Returns the schema of a model without its docstring."""
    properties = {name: _shorten_nullable(it) for name, it in model["properties"].items()}
    return _make_object(properties, required=model.get("required", []))


def _make_stream(kind: type[Event]) -> Schema:
    pattern = "^configuration:[0-9a-f]{32}$" if kind is ConfigurationRecorded else "^.+:.+$"
    return {"type": "string", "pattern": pattern}


def _make_version(kind: type[Event]) -> Schema:
    if kind in (RunCreated, ConfigurationRecorded):
        return {"const": 1}
    return _INTEGER | {"minimum": 2, "maximum": _LAST_VERSION}


def _make_deliveries() -> Schema:
    count = _INTEGER | {"minimum": 0}
    names = ("position", "behind", "failing", "parked")
    handlers = _make_object({"name": {"type": "string"}} | dict.fromkeys(names, count))
    return _make_object(
        {
            "handlers": {"type": "array", "items": handlers},
            "runs": {"type": "array", "items": _make_failing()},
        }
    )


def _make_failing() -> Schema:
    text: Schema = {"type": "string"}
    texts = {"name": text, "run_key": text, "error": text}
    count = _INTEGER | {"minimum": 0}
    others: Schema = {"position": count, "attempts": count, "failing_since": _TIME}
    return _make_object({**texts, "state": {"enum": ["failing", "parked"]}, **others})


def _make_doctor() -> Schema:
    diagnosis = _make_record(get_type_hints(Views.doctor)["return"])
    source = _make_record(Heartbeat, state={"type": "string"}, advice=_TEXT_OR_NULL)
    sources = {"type": "array", "items": source}
    return _make_object(
        {
            **diagnosis["properties"],
            "sources": sources,
            "shared_ids": {"type": "array", "items": {"type": "string"}},
            "deliveries": {"type": "array", "items": _make_failing()},
            "healthy": {"type": "boolean"},
        }
    )


def _make_rows(answer: Any) -> Schema:
    return {"type": "array", "items": _make_row(_find_row_type(answer))}


def _find_row_type(answer: Any) -> type:
    """Returns the class of the rows that a method of the views returns."""
    [row] = get_args(get_type_hints(answer)["return"])
    assert isinstance(row, type)
    return row


def _make_row(kind: type) -> Schema:
    """Returns the schema of a flat row: with a field for each group, and for each percentile."""
    fields: dict[str, Schema] = {}
    for name, hint in get_type_hints(kind).items():
        if name == "percentiles":
            fields |= {it: _make_value(float | None) for it in _PERCENTILES}
        elif name == "ranges":
            fields |= {it: _make_value(float | None) for it in _RANGES}
        elif name != "group":
            fields[name] = _make_value(hint)
    if "group" not in get_type_hints(kind):
        return _make_object(fields)
    groups: dict[str, Schema] = dict.fromkeys(COLUMNS, _TEXT_OR_NULL)
    groups |= {DAY: {"type": "string", "format": "date"}, HOUR: _TIME}
    row = _make_object(groups | fields, required=list(fields))
    return row | {"patternProperties": {r"^metadata\..": {}}}


def _make_record(kind: type, **more: Schema) -> Schema:
    """Returns the schema of a named tuple or dataclass as an object."""
    return _make_object(
        {name: _make_value(hint) for name, hint in get_type_hints(kind).items()} | more
    )


def _make_value(hint: Any) -> Schema:
    if _has_fields(hint):
        return _make_record(hint)
    inner = next((it for it in get_args(hint) if _has_fields(it)), None)
    if inner is not None:
        assert get_origin(hint) not in (Union, UnionType)
        return {"type": "array", "items": _make_record(inner)}
    if Decimal in (hint, *get_args(hint)):
        return {"type": ["string", "null"], "pattern": r"^-?\d+\.\d{9}$"}
    return _shorten_nullable(TypeAdapter(hint).json_schema(mode="serialization"))


def _has_fields(kind: Any) -> bool:
    return hasattr(kind, "_fields") or is_dataclass(kind)


def _shorten_nullable(schema: Schema) -> Schema:
    """Returns a schema of one type or null in its short form."""
    match schema:
        case {"anyOf": [{"type": str(kind), **rest}, {"type": "null"}], **more}:
            return {"type": [kind, "null"], **rest, **more}
    return schema


def _make_column(column: Any) -> Schema:
    kind: Any = column.type.python_type
    if column.name == "tools":
        kind = list[str]
    return _make_value(kind | None if column.nullable else kind)


if __name__ == "__main__":
    write_schemas()
