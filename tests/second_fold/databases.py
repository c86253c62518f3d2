"""Fresh databases with tables, and their event stores."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from projections import Views
from tests.second_fold.comparison import Comparison
from tests.second_fold.prices import list_prices
from tests.support.postgres import PostgresServer
from tracker.event_store import open_event_store

_NUMBERS = count(1)


class Databases:
    """Copies of an empty database; to migrate each takes longer than all questions to it."""

    def __init__(self, folder: Path, server: PostgresServer | None = None) -> None:
        self._folder, self._server = folder, server
        # For all of them: compiling statements takes longer than executing them.
        self._compiled: dict[Any, Any] = {}
        self._template = f"second_fold_{next(_NUMBERS)}"
        url = f"sqlite:///{folder / self._template}"
        if server is not None:
            server.execute(f"CREATE DATABASE {self._template} TEMPLATE template0")
            url = server.url(self._template)
        with Views(url) as views:
            views.upgrade()
        open_event_store(url).close()

    def close(self) -> None:
        """Drops the empty database."""
        if self._server is not None:
            self._server.execute(f"DROP DATABASE {self._template} WITH (FORCE)")

    def compare(self, seed: int, *, questions: int = 12) -> list[str]:
        """Plays one database through both folds; returns their differences."""
        with self.open(seed, questions=questions) as (_, comparison):
            name = f"seed {seed}, {'sqlite' if self._server is None else 'postgresql'}"
            return [f"{name}: {it}" for it in comparison.run()]

    @contextmanager
    def open(self, seed: int, *, questions: int = 12) -> Iterator[tuple[str, Comparison]]:
        """Yields the URL of a fresh database and its comparison.

        Every second database has its events in memory.
        """
        with self._copy() as url:
            store = open_event_store("memory://" if seed % 2 else url)
            try:
                with Views(url, store=store, prices=list_prices()) as views:
                    options = {"compiled_cache": self._compiled}
                    views._opened = views._engine.execution_options(**options)
                    yield url, Comparison(seed, views, store, questions=questions)
            finally:
                store.close()

    @contextmanager
    def _copy(self) -> Iterator[str]:
        if self._server is None:
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                shutil.copy(self._folder / self._template, Path(folder) / "runs.db")
                yield f"sqlite:///{folder}/runs.db"
            return
        name = f"second_fold_{next(_NUMBERS)}"
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        try:
            yield self._server.url(name)
        finally:
            self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")
