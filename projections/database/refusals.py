"""The kinds of errors of a database: it cannot be used, or it refuses what it was given."""

from __future__ import annotations

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError

from tracker.errors import RunfoldError

# Of deadlocks and serialization failures.
_CONFLICT = "40"
# Classes of SQLSTATE: connections, resources, an operator's intervention, the system, and
# conflicts that were tried again in vain.
_UNAVAILABLE = frozenset(("08", _CONFLICT, "53", "57", "58"))
# Data exceptions, constraints, and limits of the program, such as the size of an index entry.
_REFUSED = frozenset(("22", "23", "54"))
_SQLITE_REFUSED = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG")
# Errors of the machine, and ours, which are about no row.
_OF_NO_ROW = (MemoryError, OSError, RunfoldError)


def is_unavailable(error: DBAPIError) -> bool:
    """True if the database cannot be used at all now, whatever it is asked."""
    if error.connection_invalidated:
        return True
    state = _sqlstate(error)
    # Without a statement, it was the connection that failed.
    if state and error.statement is not None:
        return state[:2] in _UNAVAILABLE
    return isinstance(error, OperationalError | InterfaceError) and not is_refusal(error)


def is_wrong_statement(error: DBAPIError) -> bool:
    """True if a statement names what the database does not have, such as a dropped table."""
    if state := _sqlstate(error):
        return state[:2] == "42"
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_ERROR"


def is_refusal(error: Exception) -> bool:
    """True if the database refused a row, or its values could not be made or passed on."""
    if not isinstance(error, DBAPIError):
        return not isinstance(error, _OF_NO_ROW)
    if error.connection_invalidated:
        return False
    if state := _sqlstate(error):
        return state[:2] in _REFUSED
    name: str = getattr(error.orig, "sqlite_errorname", "")
    if name:
        return name.startswith(_SQLITE_REFUSED)
    # The driver itself refused a value, before the database saw it.
    refused = isinstance(error, DataError | IntegrityError)
    return refused or (isinstance(error, InterfaceError) and "bind" in str(error.orig))


def is_conflict(error: DBAPIError) -> bool:
    """True if the transaction was ended in favour of another one, and may be tried again."""
    return (_sqlstate(error) or "")[:2] == _CONFLICT


def _sqlstate(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state
