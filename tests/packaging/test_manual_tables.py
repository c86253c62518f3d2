"""The tables of the README and of the manuals, compared with the code; none is left out."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from projections import Views, metadata
from tests.support.command_line import runfold
from tests.support.manual_sessions import benchmarks, commands
from tests.support.manuals import DOCUMENTS, ROOT, Manual, code_texts
from tests.support.recorded_runs import write_runs
from tracker import Tracker, errors, sources, testing
from tracker.core.events import EVENTS
from tracker.observability import PrometheusMetrics, attributes
from tracker.sources import Assistants, HttpSource, source

Rows = list[list[str]]

CODE = [
    path for folder in ("tracker", "projections") for path in sorted((ROOT / folder).rglob("*.py"))
]
ADDRESS = "http://127.0.0.1:9/v1"
SPEAKING: dict[str, Any] = {
    name: kind
    for name in sources.__all__
    if isinstance(kind := getattr(sources, name), type)
    and issubclass(kind, HttpSource)
    and kind is not HttpSource
}


def names(rows: Rows) -> list[str]:
    """Returns the texts in backticks in the first column."""
    return [name for row in rows for name in code_texts(row[0])]


def values(rows: Rows) -> dict[str, str]:
    """Returns the second column by the first, without backticks."""
    return {code_texts(row[0])[0]: row[1].strip("`") for row in rows}


def column_names(cell: str) -> list[str]:
    """Returns the names of columns in a cell, without remarks in brackets."""
    plain = re.sub(r"\([^)]*\)", "", cell).replace("`", "")
    return [name.strip() for name in plain.split(",")]


def defaults(function: Callable[..., Any]) -> dict[str, str]:
    """Returns the arguments of a function with their defaults as written; empty for none."""
    taken = list(inspect.signature(function).parameters.values())
    return {
        it.name: "" if it.default is it.empty else repr(it.default)
        for it in taken
        if it.name != "self"
    }


def class_named(name: str) -> Any:
    """Finds a class by its name, whatever its module."""
    [file] = [
        path for path in CODE if re.search(rf"^class {name}\b", path.read_text("utf-8"), re.M)
    ]
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return getattr(importlib.import_module(module), name)


def methods(kind: type) -> set[str]:
    """Returns the names of the public methods that a class itself has."""
    return {
        name
        for name, it in vars(kind).items()
        if inspect.isfunction(it) and not name.startswith("_")
    }


def sources_are_all(rows: Rows) -> None:
    assert sorted(names(rows)) == sorted(SPEAKING)


def sources_differ_so(rows: Rows) -> None:
    sources_are_all(rows)
    for cell, name, header, lists, steps in rows:
        kind = SPEAKING[code_texts(cell)[0]]
        default = inspect.signature(kind).parameters
        assert name == f"`{default['name'].default}`"
        assert header == f"`{default['auth_header'].default}`"
        it = kind(ADDRESS)
        assert lists == ("yes" if isinstance(it, source.PageSource) else "no")
        assert isinstance(it, source.RunListSource) == (lists == "yes")
        assert steps == ("yes" if isinstance(it, source.StepSource) else "no")


def commands_are_all(rows: Rows) -> None:
    described = [name.removeprefix("runfold ").split()[0] for name in names(rows)]
    assert sorted(described) == sorted(commands())


def metrics_are_all(rows: Rows) -> None:
    tracker = Tracker("memory://", Assistants(ADDRESS))
    found = list(PrometheusMetrics(tracker, lag=dict).describe())
    actual = [it.name + ("_total" if it.type == "counter" else "") for it in found]
    described = [name for row in rows for name in code_texts(row[0])]
    assert sorted(described) == sorted(actual)


def attributes_are_all(rows: Rows) -> None:
    values = {value for name, value in vars(attributes).items() if name.isupper()}
    assert {*names(rows), "invoke_agent"} == values


def loggers_are_all(rows: Rows) -> None:
    said = re.compile(r'getLogger\("(runfold[\w.]*)"\)')
    found = {name for file in CODE for name in said.findall(file.read_text("utf-8"))}
    assert sorted(names(rows)) == sorted(found)


def tables_are_those_of_the_schema(rows: Rows) -> None:
    described = {
        code_texts(name)[0]: (code_texts(key), column_names(columns)) for name, key, columns in rows
    }
    actual = {}
    for name, found in metadata.tables.items():
        key = [column.name for column in found.primary_key]
        public = [it.name for it in found.columns if not it.name.startswith("_")]
        actual[name] = (key, [column for column in public if column not in key])
    assert described == actual


def views_are_those_of_the_database(rows: Rows) -> None:
    file = Path("runs.db").absolute()
    lines, url = write_runs(file.with_suffix(".jsonl")), f"sqlite:///{file}"
    assert runfold("import", lines, "--db", url).code == 0
    engine = create_engine(url)
    with engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'view'"))
        actual = {
            name: list(connection.execute(text(f"SELECT * FROM {name}")).keys())
            for name in names.scalars().all()
        }
    engine.dispose()
    assert {code_texts(name)[0]: column_names(columns) for name, columns in rows} == actual


def states_are_all(kind: str, rows: Rows) -> None:
    module = vars(inspect.getmodule(class_named(kind)))
    named = [module[name] for name in module if name.isupper() and not name.startswith("_")]
    states = {value for value in named if isinstance(value, str) and value.isalpha()}
    assert set(names(rows)) == states


def answers_are_all(rows: Rows) -> None:
    of_answers = set[str]().union(*(methods(kind) for kind in Views.__mro__[1:-1]))
    assert set(names(rows)) == of_answers - {"close"}


def settings_are_those_of_what_takes_them(rows: Rows) -> None:
    described = values(rows)
    taker = Tracker if "store" in described else HttpSource
    assert described == defaults(taker.__init__)


def bounds_are_those_of_the_cadence(rows: Rows) -> None:
    assert values(rows) == defaults(class_named("Cadence").__init__)


def events_are_all(rows: Rows) -> None:
    assert values(rows) == {kind.__name__: topic for topic, kind in EVENTS.items()}


def errors_are_all(rows: Rows) -> None:
    described = {code_texts(name)[0]: code_texts(kinds) for name, kinds, _ in rows}
    actual = {
        name: [base.__name__ for base in kind.__bases__]
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.RunfoldError)
    }
    assert described == {name: it for name, it in actual.items() if name != "RunfoldError"}


def protocols_are_all(rows: Rows) -> None:
    described = {code_texts(name)[0]: set(code_texts(cell)) for name, cell, _ in rows}
    kinds = [it for it in vars(source).values() if getattr(it, "_is_protocol", False)]
    actual = {it.__name__: methods(it) for it in kinds if it.__module__ == source.__name__}
    assert described == actual


def captured_calls_are_all(rows: Rows) -> None:
    captured = {
        "runs": class_named("CapturedRuns"),
        "runs.steps": class_named("CapturedSteps"),
        "responses": class_named("CapturedResponses"),
    }
    calls = {f"{path}.{name}" for path, kind in captured.items() for name in methods(kind)}
    assert set(names(rows)) == calls


def folders_are_all(rows: Rows) -> None:
    there = {
        it.name for it in (ROOT / "tests").iterdir() if it.is_dir() and not it.name.startswith("_")
    }
    packages = {it.name for it in (ROOT / "tracker").iterdir() if it.is_dir()}
    assert set(names(rows)) == there - packages - {"projections"}


def tools_of_tests_are_there(rows: Rows) -> None:
    described = names(rows)
    assert all(hasattr(testing, name) for name in described)
    contracts = {name for name in dir(testing) if name.endswith("Contract")}
    assert contracts <= set(described)


def benchmarks_are_all(rows: Rows) -> None:
    assert names(rows) == list(benchmarks())


def manuals_are_named(rows: Rows) -> None:
    assert all(re.fullmatch(r"\[(.+)\]\(\1/README.md\)", row[0]) for row in rows)


def classes_are_there(rows: Rows) -> None:
    code = "\n".join(file.read_text("utf-8") for file in CODE)
    missing = [name for name in names(rows) if not re.search(rf"\b(class|def) {name}\b", code)]
    assert missing == []


CHECKS: dict[str, Callable[[Rows], None]] = {
    "| source | API | thread | a run requires an action when |": sources_are_all,
    "| command | what it does |": commands_are_all,
    "| manual | about |": manuals_are_named,
    "| setting | default | meaning |": settings_are_those_of_what_takes_them,
    "| bound | default | meaning |": bounds_are_those_of_the_cadence,
    "| event | topic | recorded when |": events_are_all,
    "| error | kind of | meaning |": errors_are_all,
    "| call | records | watches the run |": captured_calls_are_all,
    "| source | default name | key goes as | lists the runs of a thread | reads steps |": (
        sources_differ_so
    ),
    "| protocol | methods | adds |": protocols_are_all,
    "| metric | meaning |": metrics_are_all,
    "| attribute | span | meaning |": attributes_are_all,
    "| logger | about |": loggers_are_all,
    "| call | answers |": answers_are_all,
    "| table | key | columns |": tables_are_those_of_the_schema,
    "| view | columns |": views_are_those_of_the_database,
    "| state of a projection | meaning |": partial(states_are_all, "ProjectionState"),
    "| state of a service | meaning |": partial(states_are_all, "Heartbeat"),
    "| folder | holds |": folders_are_all,
    "| name | for |": tools_of_tests_are_there,
    "| benchmark | measures |": benchmarks_are_all,
    "| name | meaning |": classes_are_there,
}


def tables() -> Iterable[tuple[Manual, str]]:
    return [(manual, heading) for manual in DOCUMENTS for heading in manual.tables]


@pytest.mark.parametrize(("manual", "heading"), tables(), ids=lambda value: f"{value}"[:60])
def test_a_table_says_what_the_code_says(
    manual: Manual, heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert heading in CHECKS, "no test compares this table with the code: write one"
    CHECKS[heading](manual.tables[heading])


def test_every_check_has_its_table() -> None:
    assert {heading for _, heading in tables()} == set(CHECKS)


def test_the_example_of_a_source_is_short() -> None:
    example = importlib.import_module("tests.examples.own_source").__file__
    assert len(Path(str(example)).read_text("utf-8").splitlines()) < 60
