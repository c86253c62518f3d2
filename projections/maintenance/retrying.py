"""Retries of the runs that are set aside, of all or of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from projections.database.engine import translate_errors
from projections.projectors.projection import Projection
from projections.runner.retry import retry_run
from projections.runner.set_aside import SetAsideRun, find_set_aside, stored_key
from tracker.errors import UnknownRun
from tracker.event_store.store import EventStore


@dataclass(frozen=True, slots=True)
class Retried:
    """The result of a retry."""

    # The number of runs whose events are all applied now.
    completed: int
    # The runs that stay set aside, with the new reasons.
    set_aside: tuple[SetAsideRun, ...]


def retry(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    run_id: str | None,
    source: str | None,
) -> Retried:
    """Retries the runs that are set aside: all, those of a source, or those of an id or key.

    Raises UnknownRun if no run of that id is set aside.
    """
    with translate_errors(engine):
        with engine.connect() as connection:
            keys = [it.run_key for it in find_set_aside(connection)]
        chosen = [key for key in keys if _is_chosen(key, run_id, source)]
        if run_id is not None and not chosen:
            raise UnknownRun(f"no run {run_id} is set aside: `runfold doctor` names those that are")
        failed = [key for key in chosen if not retry_run(engine, store, projections, key)]
        with engine.connect() as connection:
            remaining = find_set_aside(connection, run_keys=[stored_key(it) for it in failed])
    return Retried(len(chosen) - len(failed), tuple(remaining))


def _is_chosen(key: str, run_id: str | None, source: str | None) -> bool:
    of_source, _, of_run = key.partition(":")
    return source in (None, of_source) and run_id in (None, of_run, key)
