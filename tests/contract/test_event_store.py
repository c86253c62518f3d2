"""Contract of an event store over every backend; a new one is one more line in the fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker import EventStore, open_event_store
from tracker.testing import EventStoreContract


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/runs.db"
        case "postgres":
            postgres: str = request.getfixturevalue("postgres_db")
            return postgres
        case _:
            return "memory://"


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    opened = open_event_store(url)
    yield opened
    opened.close()


class TestEventStore(EventStoreContract):
    """The shipped contract, on each backend."""
