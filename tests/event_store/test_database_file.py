"""The file of an SQLite database: private, and noticed when it is removed or replaced."""

import logging
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from projections import Views
from tests.support.command_line import run_body
from tests.support.run_builder import STATUS_CHANGED as EVENT
from tests.support.scripted_server import SkippingClock
from tracker import Tracker, open_event_store
from tracker.errors import StoreUnavailable
from tracker.event_store import Append
from tracker.heartbeats.heartbeat import EVERY_SECONDS, Heartbeat
from tracker.heartbeats.reporter import CHECK_SECONDS
from tracker.heartbeats.table import heartbeats_in
from tracker.sources import Assistants

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there"),
]

NOWHERE = "http://127.0.0.1:9/v1"
GONE = "was removed or replaced while it was in use"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


def remove(file: Path) -> None:
    file.unlink()


def move_away(file: Path) -> None:
    file.rename(file.with_name("old.db"))


def replace_by_copy(file: Path) -> None:
    shutil.copy(file, file.with_name("copy.db"))
    file.with_name("copy.db").replace(file)


def replace_by_new(file: Path) -> None:
    for it in file.parent.glob(f"{file.name}*"):
        it.unlink()
    open_event_store(f"sqlite:///{file}").close()


def remove_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


LOSSES = (remove, move_away, replace_by_copy, replace_by_new, remove_folder)


@pytest.mark.parametrize("lose", LOSSES, ids=lambda it: it.__name__)
def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    file: Path, url: str, lose: Callable[[Path], None]
) -> None:
    with closing(open_event_store(url)) as store:
        store.append([Append("a:1", 0, [EVENT])])
        lose(file)
        for call in (
            lambda: store.append([Append("a:2", 0, [EVENT])]),
            lambda: store.read("a:1"),
            lambda: store.last_position(),
            lambda: store.wait(1, 5.0),
        ):
            with pytest.raises(StoreUnavailable, match=GONE):
                call()


def test_a_file_that_was_put_back_goes_on(file: Path, url: str) -> None:
    with closing(open_event_store(url)) as store:
        store.append([Append("a:1", 0, [EVENT])])
        file.rename(file.with_name("away.db"))
        with pytest.raises(StoreUnavailable, match=GONE):
            store.append([Append("a:2", 0, [EVENT])])
        assert not file.exists()
        file.with_name("away.db").rename(file)
        store.append([Append("a:2", 0, [EVENT])])
        assert store.last_position() == 2


def test_a_file_that_goes_while_it_is_written_is_noticed(
    file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file goes between the check of the connection and the commit."""
    with closing(open_event_store(url)) as store:
        store.append([Append("a:1", 0, [EVENT])])
        pool = store._recorder._pool  # type: ignore[attr-defined]
        get = pool.get_connection

        def get_then_lose(*arguments: object, **more: object) -> object:
            connection = get(*arguments, **more)
            move_away(file)
            return connection

        monkeypatch.setattr(pool, "get_connection", get_then_lose)
        with pytest.raises(StoreUnavailable, match=GONE):
            store.append([Append("a:2", 0, [EVENT])])


def test_a_change_of_the_folder_is_none_of_the_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    with closing(open_event_store("sqlite:///runs.db")) as store, Views("sqlite:///runs.db") as it:
        it.upgrade()
        monkeypatch.chdir(tmp_path / "below")
        store.append([Append("a:1", 0, [EVENT])])
        assert it.runs() == []
    assert list((tmp_path / "below").iterdir()) == []


def test_tables_in_a_file_that_is_gone_are_not_written(file: Path, url: str) -> None:
    with Views(url) as views:
        views.prepare(create=True)
        views.catch_up()
        remove(file)
        for call in (views.catch_up, views.runs):
            with pytest.raises(StoreUnavailable, match="no database at"):
                call()
        assert not file.exists()


def test_a_running_tracker_notices_and_acknowledges_nothing_more(
    file: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SkippingClock()
    tracker = Tracker(url, Assistants(NOWHERE), clock=clock).in_background()
    with caplog.at_level(logging.WARNING, "runfold"), tracker:
        assert tracker.observe(run_body("run_1"))
        wait_for(lambda: read_heartbeats(url) != [])
        remove(file)
        # The tracker has nothing to record, and notices all the same.
        clock.skip(EVERY_SECONDS - CHECK_SECONDS)
        wait_for(lambda: GONE in caplog.text)
        with pytest.raises(StoreUnavailable, match=GONE):
            tracker.observe(run_body("run_2"))
        assert not file.exists()


def read_heartbeats(url: str) -> list[Heartbeat]:
    with closing(open_event_store(url)) as store:
        return heartbeats_in(store)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_new_files_are_readable_by_their_owner_alone(tmp_path: Path, url: str) -> None:
    before = os.umask(0o022)
    try:
        with Tracker(url, Assistants(NOWHERE)).in_background() as tracker:
            tracker.observe(run_body("run_1"))
            with Views(url) as views:
                views.upgrade()
                views.catch_up()
                modes = {it.name: stat.S_IMODE(it.stat().st_mode) for it in tmp_path.iterdir()}
            assert {"runs.db", "runs.db-wal", "runs.db-shm", "runs.db-tracker"} <= modes.keys()
            assert set(modes.values()) == {0o600}
        with Views(f"sqlite:///{tmp_path}/tables.db") as views:
            views.prepare(create=True)
        (tmp_path / "link.db").symlink_to(tmp_path / "linked.db")
        open_event_store(f"sqlite:///{tmp_path}/link.db").close()
        for name in ("tables.db", "linked.db"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_the_mode_of_a_file_that_exists_stays(file: Path, url: str) -> None:
    file.touch()
    file.chmod(0o640)
    open_event_store(url).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
