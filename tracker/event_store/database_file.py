"""The file of an SQLite database: private when it is created, and later still the same one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

# The files that SQLite and the tracker keep beside a database, by the ends of their names.
BESIDE_DATABASE = ("-wal", "-shm", "-journal", "-tracker")

_creating = Lock()


def create_private(path: Path) -> None:
    """Creates an empty database that its owner alone can read; an existing file stays as it is.

    SQLite gives the files beside it the same mode. Errors are left to SQLite, which meets them too.
    """
    # Closing any descriptor of a database ends the locks that this process has on it: an existing
    # file is never opened here, and no other thread goes on before a new one is closed.
    with _creating, suppress(OSError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        os.close(os.open(os.path.realpath(path), flags, 0o600))


def identify(path: Path) -> tuple[int, int] | None:
    """Returns the identity of the file at a path, None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
