"""The public names of runfold, read from the code: what `.github/COMPATIBILITY.md` promises."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy import inspect as inspect_database

from projections import Views, metadata
from projections.export.formats import FORMATS
from projections.queries.grouping import COLUMNS, DAY, HOUR
from tests.support.paths import ROOT
from tracker import Delivery, Tracker
from tracker.cli.commands import app
from tracker.core import events as e
from tracker.core import status
from tracker.core.snapshot import Configuration, RunError, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import RecordedEvent
from tracker.observability import PrometheusMetrics, export_spans
from tracker.runtime.log_fields import of_handlers, of_run, of_source
from tracker.sources import Assistants
from tracker.sources.payload_format import Api

PACKAGES = ("tracker", "projections")
MODULES = (
    "tracker",
    "tracker.core.events",
    "tracker.core.snapshot",
    "tracker.core.status",
    "tracker.core.usage",
    "tracker.delivery",
    "tracker.errors",
    "tracker.event_store",
    "tracker.forgetting",
    "tracker.observability",
    "tracker.simulator",
    "tracker.sources",
    "tracker.sources.peculiarities",
    "tracker.sources.source",
    "tracker.testing",
    "tracker.webhooks",
    "projections",
    "projections.testing",
)
# The methods and fields of their classes are promised too; events have a table of their own.
_MODULES_OF_CLASSES = (
    "tracker",
    "tracker.delivery",
    "tracker.event_store",
    "tracker.forgetting",
    "tracker.observability",
    "tracker.sources",
    "tracker.sources.source",
    "projections",
)
_READS = ("os.environ.get", "os.getenv")
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def list_names(module_name: str) -> list[str]:
    """Returns `__all__` of a module, or else its public classes, functions and constants."""
    module = import_module(module_name)
    if hasattr(module, "__all__"):
        return list(module.__all__)
    names: list[str] = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            names += [it.name for it in node.names if it.name == it.asname]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [it.id for it in targets if isinstance(it, ast.Name) and it.id.isupper()]
    return [name for name in names if not name.startswith("_")]


def list_classes() -> dict[str, list[str]]:
    """Returns the methods and fields of each class, also those inherited from a class of ours."""
    found: dict[str, list[str]] = {}
    for module_name in _MODULES_OF_CLASSES:
        for name in list_names(module_name):
            it = getattr(import_module(module_name), name)
            if isinstance(it, type) and not issubclass(it, Exception):
                found[name] = _list_attributes(it)
    return found


def _list_attributes(kind: type) -> list[str]:
    # The order of the fields of a tuple, and of a dataclass, is public too.
    fields = list(getattr(kind, "_fields", ()))
    if dataclasses.is_dataclass(kind):
        fields = [it.name for it in dataclasses.fields(kind)]
    names: set[str] = set()
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in PACKAGES:
            names |= {*vars(base), *vars(base).get("__annotations__", ())}
    others = names - {*fields, "model_config", "model_post_init"}
    return fields + sorted(name for name in others if not name.startswith("_"))


def list_events() -> dict[str, tuple[str, list[str], list[str]]]:
    """Returns the topic, the required and the optional fields of each event.

    The topic is empty for an object inside events.
    """
    kinds: list[tuple[type[BaseModel], str]] = [
        (kind, f"{topic}/{kind.topic_version}") for topic, kind in e.EVENTS.items()
    ]
    kinds += [(kind, "") for kind in (ToolCall, RunError, Usage, Configuration)]
    found = {}
    for kind, topic in kinds:
        required = [name for name, it in kind.model_fields.items() if it.is_required()]
        optional = [name for name in kind.model_fields if name not in required]
        found[kind.__name__] = (topic, required, optional)
    return found


def list_tables() -> dict[str, tuple[list[str], list[str]]]:
    """Returns the key and the other columns of each table; a view has no key."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for name, table in metadata.tables.items():
        key = [it.name for it in table.primary_key]
        public = [it.name for it in table.columns if not it.name.startswith("_")]
        found[name] = (key, [it for it in public if it not in key])
    return found | {name: ([], columns) for name, columns in list_view_columns().items()}


@cache
def list_view_columns() -> dict[str, list[str]]:
    """Returns the columns of each view, as a database has them."""
    with _make_database() as url:
        engine = create_engine(url)
        found = inspect_database(engine)
        columns = {
            name: [str(it["name"]) for it in found.get_columns(name)]
            for name in sorted(found.get_view_names())
        }
        engine.dispose()
    return columns


@contextmanager
def _make_database() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'runs.db'}"
        with Views(url) as views:
            views.upgrade()
        yield url


def list_commands() -> dict[str, tuple[list[str], list[str]]]:
    """Returns the arguments and the options of each command, without hidden ones."""
    group: Any = typer.main.get_command(app)
    found: dict[str, tuple[list[str], list[str]]] = {}
    for name, command in sorted(group.commands.items()):
        arguments = [
            _write_argument(it) for it in command.params if it.param_type_name == "argument"
        ]
        shown = [it for it in command.params if it.param_type_name == "option" and not it.hidden]
        found[name] = (arguments, [option for it in shown for option in it.opts])
    return found


def _write_argument(parameter: Any) -> str:
    name = parameter.metavar.strip("[]…") + ("…" if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def list_metrics() -> dict[str, tuple[str, list[str]]]:
    """Returns the type and the labels of each metric, by the name that a scrape has."""
    tracker = Tracker("memory://", Assistants("http://127.0.0.1:9/v1"))
    return {
        it.name + ("_total" if it.type == "counter" else ""): (it.type, list(it._labelnames))
        for it in PrometheusMetrics(tracker, lag=dict).describe()
    }


class _FailedRun:
    """A stand-in for a tracker, with one failed run that sets every attribute of a span."""

    def __init__(self) -> None:
        usage = Usage(
            prompt_tokens=1,
            completion_tokens=1,
            cached_tokens=1,
            reasoning_tokens=1,
            cache_write_tokens=1,
        )
        events = [
            e.RunCreated(
                observed_at=_MOMENT,
                source="assistants",
                run_id="run_1",
                status="queued",
                thread_id="thread_1",
                assistant_id="asst_1",
                model="gpt-5",
            ),
            e.RunActionRequired(
                observed_at=_MOMENT, previous="queued", tool_calls=(ToolCall(id="1", name="f"),)
            ),
            e.RunFailed(
                observed_at=_MOMENT,
                previous="requires_action",
                usage=usage,
                error=RunError(code="server_error"),
                reason="max_prompt_tokens",
            ),
        ]
        self._history = [
            RecordedEvent(number, "assistants:run_1", number, event)
            for number, event in enumerate(events, 1)
        ]

    def on(self, *kinds: type[e.Event], **options: Any) -> Callable[[Any], Any]:
        def call(handler: Any) -> Any:
            last = self._history[-1]
            handler(Delivery("assistants", "thread_1", "run_1", 3, 3, last.event))
            return handler

        return call

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]:
        return self._history


def list_spans() -> dict[str, tuple[str, list[str]]]:
    """Returns the kind and the attributes of the span of a run, and of that of a phase."""
    exporter = InMemorySpanExporter()
    export_spans(_FailedRun(), exporter)
    found: dict[str, tuple[str, list[str]]] = {}
    for span in exporter.get_finished_spans():
        name = "the status of a phase" if span.parent else span.name
        known = found.get(name, ("", []))[1]
        names = [it for it in span.attributes or () if it not in known]
        found[name] = (span.kind.name, known + names)
    return found


def list_values() -> dict[str, list[str]]:
    """Returns the other names and values, by their kind."""
    with _make_database() as url, Views(url) as views:
        projections = [it.name for it in views.doctor().projections]
    statuses = [getattr(status, name) for name in list_names("tracker.core.status")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    fields = {*of_run("source:run"), *of_source("source"), *of_handlers("name")}
    return {
        "loggers": sorted(set(_find_loggers())),
        "attributes of log records": sorted(fields),
        "environment variables": sorted(set(_find_variables())),
        "`--by`": [*COLUMNS, DAY, HOUR, "metadata.KEY"],
        "`--api`": [it.value for it in Api],
        "`--format`": list(FORMATS),
        "projections": projections,
        "statuses": [it for it in statuses if isinstance(it, str)],
        "extras": [it for it in project["optional-dependencies"] if it not in ("test", "dev")],
    }


def _find_loggers() -> Iterator[str]:
    for node in _walk_sources("getLogger"):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
            names = [it.value for it in node.args if isinstance(it, ast.Constant)]
            yield from (it for it in map(str, names) if it.partition(".")[0] == "runfold")


def _find_variables() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    for command in group.commands.values():
        yield from (it.envvar for it in command.params if it.envvar)
    for node in _walk_sources("environ", "getenv"):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            found = [node.slice]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _READS:
            found = node.args[:1]
        else:
            continue
        yield from (str(it.value) for it in found if isinstance(it, ast.Constant))


def _walk_sources(*words: str) -> Iterator[ast.AST]:
    """Yields all nodes of the source files that have one of these words."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text("utf-8")
            if any(word in text for word in words):
                yield from ast.walk(ast.parse(text))
