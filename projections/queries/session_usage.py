"""The tokens of a session: the service's own count, those of its runs, and the difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from projections.database.schema import runs
from projections.folding.run_row import stored_name
from projections.row_types import SessionUsageRow, field_names
from tracker.errors import SettingsError, UnknownRun

_COUNTS = field_names(SessionUsageRow)[4:]
_SIDES = ("prompt_tokens", "completion_tokens", "total_tokens")

_Counts = Mapping[str, int | None]


def read_session_usage(
    connection: Connection, thread_id: str, source: str | None
) -> list[SessionUsageRow]:
    """Returns the parts of the tokens of a thread.

    Raises UnknownRun for one without runs, and SettingsError if several sources have it.
    """
    counts = [runs.c[name] for name in _COUNTS]
    query = select(runs.c.source, runs.c.subagent_id, runs.c.thread_usage, *counts)
    query = query.where(runs.c.thread_id == stored_name(thread_id))
    if source is not None:
        query = query.where(runs.c.source == source)
    query = query.order_by(runs.c.created_at, runs.c.run_key)
    found: list[Mapping[str, Any]] = [row._asdict() for row in connection.execute(query)]
    if not found:
        raise UnknownRun(f"no run of {thread_id!r} in the tables; if new, catch up first")
    if len(sources := sorted({row["source"] for row in found})) > 1:
        raise SettingsError(
            f"several sources have a thread {thread_id!r}: {', '.join(sources)}; name one of them "
            "with `source`, or with --source on the command line"
        )
    told = [row["thread_usage"] for row in found if row["thread_usage"]]
    session: _Counts = max(told, key=lambda it: str(it["reported_at"]), default={})
    subagents = dict.fromkeys(row["subagent_id"] for row in found if row["subagent_id"])
    sums = [_add("turns", None, [row for row in found if not row["subagent_id"]])]
    sums += [_add("subagent", it, [r for r in found if r["subagent_id"] == it]) for it in subagents]
    whole = SessionUsageRow("session", None, None, None, *(session.get(it) for it in _COUNTS))
    rest = (_subtract(getattr(whole, it), [getattr(row, it) for row in sums]) for it in _COUNTS)
    return [whole, *sums, SessionUsageRow("difference", None, None, None, *rest)]


def _add(part: str, subagent_id: str | None, found: Sequence[Mapping[str, Any]]) -> SessionUsageRow:
    silent = sum(all(row[it] is None for it in _SIDES) for row in found)
    counts = (_sum(row[it] for row in found) for it in _COUNTS)
    return SessionUsageRow(part, subagent_id, len(found), silent, *counts)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [it for it in counts if it is not None]
    return sum(known) if known else None


def _subtract(whole: int | None, parts: Sequence[int | None]) -> int | None:
    known = _sum(parts)
    return None if whole is None or known is None else whole - known
