"""One URL, one event store: chooses the backend, and loads no other."""

from __future__ import annotations

from tracker.errors import SettingsError
from tracker.event_store.store import EventStore


def open_event_store(url: str, *, create: bool = True) -> EventStore:
    """The event store at a URL, its table made where it is missing.

    `sqlite:///relative.db` and `sqlite:////absolute.db` are files, `postgresql://…` a server
    (the `postgres` extra), `memory://` is gone when closed. With `create` false, a SQLite file
    that does not exist is not made.

    Raises SettingsError for a URL of no such form, StoreUnavailable where the database cannot
    be reached or opened.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        from tracker.event_store.sqlite import open_sqlite

        return open_sqlite(url, create=create)
    if scheme in ("postgresql", "postgres"):
        from tracker.event_store.postgres import open_postgres

        return open_postgres(url)
    if scheme == "memory":
        from tracker.event_store.memory import open_memory

        return open_memory()
    raise SettingsError(
        f"no event store for a URL that begins with {scheme!r}: "
        "use sqlite:///file.db, postgresql://user@host/database or memory://"
    )
