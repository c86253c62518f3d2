"""Opening an event store by its URL. Only the backend of that URL is loaded."""

from __future__ import annotations

from tracker.errors import SettingsError
from tracker.event_store.store import EventStore


def open_event_store(url: str, *, create: bool = True) -> EventStore:
    """Opens the event store at a URL, and creates its table if it is missing.

    `sqlite:///relative.db` and `sqlite:////absolute.db` are files, `postgresql://…` is a server
    (the `postgres` extra), and `memory://` is lost when closed. With `create` false, an SQLite
    file that does not exist is not created. A server's URL takes the parameters of libpq, and of
    our own `schema`, which has to exist, and `pool_size`, the most connections of the pool (5).

    Raises SettingsError for any other URL, StoreUnavailable if the database cannot be reached or
    opened.
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
