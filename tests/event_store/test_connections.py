"""Connections to an SQLite file: all are closed, whatever fails."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import ConnectionPoolClosedError

from tracker import open_event_store
from tracker.errors import StoreUnavailable
from tracker.event_store import sqlite_pool
from tracker.event_store.sqlite_pool import DurableConnectionPool

pytestmark = pytest.mark.integration


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """The connections that are open at the moment; all are closed in the end."""
    found: set[int] = set()
    connect = sqlite3.connect

    class Counted(sqlite3.Connection):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            found.add(id(self))

        def close(self) -> None:
            found.discard(id(self))
            super().close()

    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **more: connect(*args, factory=Counted, **more)
    )
    yield found
    assert found == set()


def test_a_file_that_is_no_database_is_closed(tmp_path: Path, opened: set[int]) -> None:
    (tmp_path / "runs.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_event_store(f"sqlite:///{tmp_path}/runs.db")


def test_one_that_stays_locked_is_closed(
    tmp_path: Path, opened: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_pool, "LOCK_TIMEOUT_SECONDS", 0.3)
    other = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        open_event_store(f"sqlite:///{tmp_path}/runs.db")
    other.close()


def test_none_is_opened_once_the_store_is_closed(tmp_path: Path, opened: set[int]) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    assert opened
    store.close()
    with pytest.raises(StoreUnavailable):
        store.last_position()

    class LateToClose(DurableConnectionPool):
        """Is closed between the moment at which a connection is asked for and that it is made."""

        def _get_connection(self, timeout: float = 0.0) -> Any:
            self.close()
            return super()._get_connection(timeout)

    with pytest.raises(ConnectionPoolClosedError):
        LateToClose(db_name=str(tmp_path / "runs.db")).get_connection()
