"""A process of the read side: it catches up, rebuilds and prunes, and is killed within."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from projections import Views
from tests.second_fold.prices import list_prices
from tests.simulation.process import CURRENT, START
from tracker.errors import PricesDiffer, ProjectionFailed, RunfoldError, SettingsError

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

NAMES = ("runs", "phases", "actions", "steps", "usage", "timing", "costs")
# Statements are more frequent than commits.
_STATEMENTS = 0.2


class Reader:
    """The tables of the database, kept in step."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._random = simulation, simulation.random("reader")

    async def main(self) -> None:
        """Works at random moments until the faults end."""
        simulation, random = self._simulation, self._random
        views = self.open_views()
        while simulation.is_chaos:
            await asyncio.sleep(random.expovariate(simulation.swarm.views))
            name, work = self._choose(views)
            try:
                await asyncio.to_thread(work)
                simulation.journal.counts[name] += 1
            except _ReaderKilled:
                views = self.open_views()
            except RunfoldError as error:
                simulation.journal.counts[f"told {type(error).__name__}"] += 1
                self._check(name, error)
            except Exception as error:
                simulation.journal.breaks("views raise documented errors", f"{name}: {error!r}")

    def _choose(self, views: Views) -> tuple[str, Callable[[], object]]:
        random, swarm = self._random, self._simulation.swarm
        if random.random() < swarm.rebuilds:
            names = random.sample(NAMES, 2) if random.random() < 0.5 else []
            return "rebuild", lambda: views.rebuild(*names)
        if random.random() < swarm.prunes:
            passed = self._simulation.loop.time() - random.choice((60, 600))
            return "prune", lambda: views.prune(START + timedelta(seconds=passed))
        return "catch up", views.catch_up

    def _check(self, name: str, error: RunfoldError) -> None:
        cause = f"{error!r} {error.__cause__!r}"
        is_wrong = isinstance(error, SettingsError | PricesDiffer) or (
            isinstance(error, ProjectionFailed) and "injected" not in cause
        )
        if is_wrong:
            self._simulation.journal.breaks("projections work", f"{name}: {cause}")

    def open_views(self) -> Views:
        """Returns views whose statements and commits fail while the faults last."""
        database = self._simulation.database
        views = Views(database.url, store=database.open_store(), prices=list_prices())
        engine = views._engine

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF").close()

        @event.listens_for(engine, "before_cursor_execute")
        def before(*_: object) -> None:
            self._strike("views_killed", _ReaderKilled)
            if self._hits("views_fail", _STATEMENTS):
                raise OperationalError("injected", {}, Exception("injected"))

        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            if self._hits("views_fail"):
                raise sqlite3.OperationalError("injected before a commit")
            commit(connection)
            database.note_commit()
            if self._hits("views_fail"):
                raise sqlite3.OperationalError("injected after a commit")

        engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
        return views

    def _hits(self, name: str, scale: float = 1.0) -> bool:
        simulation, random = self._simulation, self._random
        is_hit = CURRENT.get() is not None and simulation.hits(random, name, scale)
        if is_hit:
            simulation.journal.fault(name)
        return is_hit

    def _strike(self, name: str, error: type[BaseException]) -> None:
        if self._hits(name):
            raise error


class _ReaderKilled(BaseException):
    """Ends a call of the views, as a kill does; its transaction is rolled back."""
