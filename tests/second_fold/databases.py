"""Fresh databases with tables, and their event stores."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from projections import Views
from tests.second_fold.comparison import Comparison
from tests.second_fold.known import KNOWN
from tests.support.postgres import PostgresServer
from tracker.event_store import open_event_store


class Databases:
    """Copies of an empty database; migrating each would take longer than all questions to it."""

    def __init__(self, folder: Path, server: PostgresServer | None = None) -> None:
        self._folder, self._server = folder, server
        self._numbers = count(1)
        # Other servers' names are taken by other tests.
        self._template = f"second_fold_{id(self)}"
        if server is None:
            self._migrate(f"sqlite:///{folder / 'template.db'}")
        else:
            server.execute(f"CREATE DATABASE {self._template} TEMPLATE template0")
            self._migrate(server.url(self._template))

    @property
    def dialect(self) -> str:
        """The name of the kind of database."""
        return "sqlite" if self._server is None else "postgresql"

    def compare(
        self, seed: int, *, questions: int = 12, known: Collection[str] = KNOWN
    ) -> list[str]:
        """Plays one database through both folds; returns their differences.

        Every second database has its events in memory.
        """
        with self._copy() as url:
            store = open_event_store("memory://" if seed % 2 else url)
            try:
                comparison = Comparison(seed, url, store, questions=questions, known=known)
                return [f"seed {seed}, {self.dialect}: {it}" for it in comparison.run()]
            finally:
                store.close()

    @staticmethod
    def _migrate(url: str) -> None:
        with Views(url) as views:
            views.upgrade()
        open_event_store(url).close()

    @contextmanager
    def _copy(self) -> Iterator[str]:
        number = next(self._numbers)
        if self._server is None:
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                shutil.copy(self._folder / "template.db", Path(folder) / "runs.db")
                yield f"sqlite:///{folder}/runs.db"
            return
        name = f"{self._template}_{number}"
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        try:
            yield self._server.url(name)
        finally:
            with suppress(Exception):
                self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")
