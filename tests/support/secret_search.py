"""A pytest plugin that fails each test after which a key can be read.

All keys in tests contain MARK. It is searched for in every log record of any level, with its
arguments, exception and extra fields; in every error of runfold, raised or not; in what was
written to the standard streams; and in the files of databases.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tracker.errors import RunfoldError

MARK = "4f1d9c22b7"
# Other loggers may log keys that a test passes to the client of its own service.
_SEARCHED = ("runfold", "httpx")
_DATABASE = b"SQLite format 3\0"
_PLAIN = frozenset(vars(logging.makeLogRecord({})))


class SecretSearch(logging.Handler):
    """A log handler that records the places of keys."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Searches a record in all forms in which it may be written."""
        texts = [record.getMessage(), record.exc_text or ""]
        if record.exc_info and record.exc_info[1]:
            texts.append("".join(traceback.format_exception(record.exc_info[1])))
        texts += [repr(value) for name, value in vars(record).items() if name not in _PLAIN]
        self.search(f"a log record of {record.name}", *texts)

    def search(self, where: str, *texts: str) -> None:
        """Records `where` if a key is in the texts."""
        if any(MARK in text for text in texts):
            self._found.append(where)

    def search_files(self, folder: Path) -> None:
        """Searches the databases in a folder, with their write-ahead logs."""
        for file in folder.rglob("*"):
            if file.is_file() and (content := file.read_bytes()).startswith(_DATABASE):
                wal = file.with_name(f"{file.name}-wal")
                if MARK.encode() in content + (wal.read_bytes() if wal.is_file() else b""):
                    self._found.append(f"the database {file.name}")

    def pop_places(self) -> list[str]:
        """Returns the places where a key was found, and clears them."""
        found, self._found = self._found, []
        return found


def search_errors(search: SecretSearch) -> None:
    """Searches every error of runfold when it is created, in this process from now on."""
    plain = RunfoldError.__init__

    def search_and_init(self: RunfoldError, *args: Any) -> None:
        search.search(f"a {type(self).__name__}", *map(repr, args))
        plain(self, *args)

    RunfoldError.__init__ = search_and_init  # type: ignore[method-assign]


class SecretPlugin:
    """Hooks that search during a test and at its end."""

    def __init__(self) -> None:
        self.search = SecretSearch()
        search_errors(self.search)
        for name in _SEARCHED:
            logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger().addHandler(self.search)

    @pytest.fixture(autouse=True)
    def _limit_caplog(self, caplog: pytest.LogCaptureFixture) -> None:
        """Hides debug records from tests that set no level; they are on for the search only."""
        caplog.handler.setLevel(logging.WARNING)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Fails a test that passed if a key was found."""
        report: Any = yield
        for title, text in report.sections:
            # Each report repeats the sections of earlier phases; the log handler sees the log.
            if title.endswith(report.when) and not title.startswith("Captured log"):
                self.search.search(title, text)
        if report.when == "teardown" and "tmp_path" in getattr(item, "funcargs", {}):
            self.search.search_files(item.funcargs["tmp_path"])  # type: ignore[attr-defined]
        found = self.search.pop_places()
        if found and report.passed:
            report.outcome = "failed"
            report.longrepr = f"a key can be read in: {', '.join(sorted(set(found)))}"
        return report


def pytest_configure(config: pytest.Config) -> None:
    """Registers the hooks."""
    config.pluginmanager.register(SecretPlugin(), "secret-search")
