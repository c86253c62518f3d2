"""PgBouncer in transaction mode before a PostgreSQL server of the tests, where it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.postgres import PostgresServer

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={port} user=runfold
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 100
logfile = {folder}/log
"""


def find_pgbouncer() -> str | None:
    """Returns the path of PgBouncer, None where it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def running_pgbouncer(server: PostgresServer) -> Iterator[int]:
    """Runs PgBouncer before a server; yields its port."""
    binary = find_pgbouncer()
    assert binary is not None
    folder = Path(tempfile.mkdtemp(prefix="pgb-"))
    folder.chmod(0o777)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(port=server.port, own=own, folder=folder))
    settings.chmod(0o644)
    user = "nobody" if os.geteuid() == 0 else None
    process = subprocess.Popen(
        [binary, str(settings)], user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_up(own, process)
        yield own
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    url = f"postgresql://runfold@127.0.0.1:{port}/postgres"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("PgBouncer did not start")
