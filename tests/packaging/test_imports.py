"""Cost of imports: nothing is started, read or loaded before it is used."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

import projections
import tracker

HEAVY = ("alembic", "apscheduler", "eventsourcing", "httpx", "pydantic", "sqlalchemy")
OTHERS = ("psycopg", "rich", "starlette", "typer", "uvicorn")
# These are programs, which run when they are imported.
PROGRAMS = ("tracker.cli.__main__",)


def iterate_modules() -> Iterator[str]:
    for package in (tracker, projections):
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name not in PROGRAMS:
                yield found.name


def list_loaded(code: str) -> set[str]:
    """Returns the top-level modules that a new interpreter loads for some code."""
    report = "import json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(json.loads(done.stdout))


def test_both_packages_load_no_library() -> None:
    assert not list_loaded("import tracker, projections, tracker.sources") & {*HEAVY, *OTHERS}


def test_the_read_side_loads_no_network_and_no_scheduler() -> None:
    loaded = list_loaded("from projections import Views; Views('sqlite:///none.db').close()")
    assert "sqlalchemy" in loaded
    assert not loaded & {"httpx", "apscheduler", "alembic", "psycopg", "rich", "typer"}


def test_the_write_side_loads_no_read_side_and_no_terminal() -> None:
    loaded = list_loaded("from tracker import Tracker; from tracker.sources import Assistants")
    assert {"httpx", "apscheduler"} <= loaded
    assert not loaded & {"projections", "sqlalchemy", "alembic", "typer", "uvicorn"}


def test_the_names_of_the_commands_load_neither_side() -> None:
    loaded = list_loaded("import tracker.cli.commands")
    assert not loaded & {"httpx", "apscheduler", "sqlalchemy", "alembic", "eventsourcing"}


@pytest.mark.seeds
def test_a_module_imported_alone_does_nothing() -> None:
    ours = ("tracker", "projections")
    kept = {name: sys.modules[name] for name in sys.modules if name.partition(".")[0] in ours}
    try:
        problems = {name: _import_alone(name, ours) for name in iterate_modules()}
    finally:
        _forget(ours)
        sys.modules.update(kept)
    assert len(problems) > 200
    assert {name: problem for name, problem in problems.items() if problem} == {}


def _import_alone(name: str, ours: tuple[str, ...]) -> str:
    _forget(ours)
    reading = _Environment()
    threads = threading.enumerate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", reading)
        try:
            module: ModuleType = importlib.import_module(name)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    started = [thread.name for thread in threading.enumerate() if thread not in threads]
    return f"{module.__name__} started {started}" if started else ", ".join(reading.variables)


def _forget(ours: tuple[str, ...]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]


class _Environment(dict[str, str]):
    """An environment that notes the variables that our own code reads."""

    def __init__(self) -> None:
        super().__init__(os.environ)
        self.variables: list[str] = []

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return super().__getitem__(name)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self._note(name)
        return super().get(name, default)

    def _note(self, name: str) -> None:
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_globals.get("__name__") == "os":
            frame = frame.f_back
        asking = frame.f_globals.get("__name__", "")
        if asking.partition(".")[0] in ("tracker", "projections"):
            self.variables.append(f"{asking} reads {name}")
