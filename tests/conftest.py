"""Fixtures for all tests: a PostgreSQL server for the session, and a database for each test."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import secret_search
from tests.support.examples import THOROUGH
from tests.support.paths import ROOT
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.tracker_settings import PLAIN
from tracker.simulator import Simulator

# Properties may take long on a busy machine. CI tries the same examples each time, so that its
# result does not depend on luck; other runs try new ones. A job of the night tries more of them,
# with `--hypothesis-profile=thorough`.
for _profile, _examples in (("runfold", THOROUGH // 3), ("thorough", THOROUGH)):
    settings.register_profile(
        _profile,
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=_examples,
    )
settings.load_profile("runfold")

# Without it, every process that a test starts would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Registers the search for keys that a test leaves where they can be read."""
    config.pluginmanager.register(secret_search)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Leaves modules and tests to no garbage collection: they are there until the end."""
    gc.disable()
    if session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        _import_in_turns()
    yield
    gc.collect()
    gc.freeze()
    gc.enable()


def _import_in_turns() -> None:
    """Has each worker begin with another part of the tests, and so compile that part for all."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
    ]
    start = len(names) * int(worker) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for name in names[start:] + names[:start]:
        # pytest imports it again, and says what is wrong with it.
        with suppress(Exception):
            import_module(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that runs for the whole session, started by the first test that needs it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of the server's database `postgres`, which all tests share."""
    return postgres.url("postgres")


@pytest.fixture
def postgres_db(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    with postgres.empty_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on SQLite (without a file yet) and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    url: str = request.getfixturevalue("postgres_db")
    return url


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulated service whose runs complete within a second."""
    with Simulator(parameters=PLAIN) as running:
        yield running
