"""Statements that are noted while they are asked, and the plans of them that read a whole table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

# Tables that grow with the runs or with the events.
LARGE = (
    *("runs", "run_phases", "run_actions", "run_steps", "run_costs"),
    *("runfold_events", "open_runs", "stuck_runs"),
)


@contextmanager
def noted_statements(engine: Engine) -> Iterator[dict[str, Any]]:
    """Yields the statements that an engine runs meanwhile, with the parameters of each."""
    statements: dict[str, Any] = {}

    def note(
        connection: object, cursor: object, statement: str, parameters: Any, *more: object
    ) -> None:
        if statement.startswith(("SELECT", "WITH")):
            statements[statement] = parameters

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def find_scans(connection: Connection, statements: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns each line of a plan that reads a large table without an index, and its statement."""
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    found = []
    for statement, parameters in statements.items():
        for row in connection.exec_driver_sql(explain + statement, parameters).all():
            line = str(row[-1])
            plain = line.replace("Seq Scan on", "SCAN").partition("SCAN ")[2]
            if "INDEX" not in line and plain.split(" ")[0] in LARGE:
                found.append((line, statement))
    return found
