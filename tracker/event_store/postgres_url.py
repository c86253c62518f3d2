"""The URL of a PostgreSQL database: the driver's arguments, and two parameters of our own.

`schema` names the schema of all tables, and `pool_size` the largest number of connections of a
pool. Everything else is the driver's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tracker.errors import SettingsError

# The largest number of connections in the pool of an event store, and in that of its tables.
POOL_SIZE = 5

# The operating system notices a lost host within half a minute, and no statement is prepared on
# the server: behind a pooler, the next transaction may be on the connection of another client.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "prepare_threshold": None,
}


def connection_settings(url: str) -> dict[str, Any]:
    """Returns the driver's connection arguments for a URL. Raises SettingsError for a bad one."""
    parsed, options = _parse(url), _own_options(_parse(url))[0]
    return {
        "dbname": parsed.database or parsed.username or "postgres",
        "host": parsed.host or options.pop("host", "localhost"),
        "port": parsed.port or options.pop("port", 5432),
        "user": parsed.username or options.pop("user", None),
        "password": parsed.password or options.pop("password", None),
        **_DEFAULTS,
        **options,
    }


def read_pool_size(url: str) -> int:
    """Returns the largest number of connections of a pool. Raises SettingsError."""
    return _own_options(_parse(url))[1]


def engine_settings(url: URL) -> tuple[URL, dict[str, Any], int]:
    """Returns a URL without our parameters, the driver's arguments for it, and the pool's size."""
    options, size = _own_options(url)
    several = {key: value for key, value in url.query.items() if not isinstance(value, str)}
    # There it is known as a secret.
    password = url.password or options.pop("password", None)
    return url.set(query=several, password=password), {**_DEFAULTS, **options}, size


def explain(error: Exception) -> str:
    """Returns the text of a failure to connect, with its cure if that is known."""
    text = str(error).strip()
    if "unsupported startup parameter: options" in text:
        text += (
            "; the pooler refuses the options of the URL: leave schema= and options= out, and name "
            "the schema with `ALTER ROLE … SET search_path = …`"
        )
    return text


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(
            "the PostgreSQL URL cannot be read: use postgresql://user:password@host:port/database"
        ) from None


def _own_options(url: URL) -> tuple[dict[str, Any], int]:
    query: Mapping[str, Any] = url.query
    options = {key: value for key, value in query.items() if isinstance(value, str)}
    size = options.pop("pool_size", str(POOL_SIZE))
    if not (size.isascii() and size.isdigit() and int(size) > 0):
        raise SettingsError(f"pool_size has to be a number of connections, not {size!r}")
    schema = options.pop("schema", None)
    if schema == "":
        raise SettingsError("schema names no schema: use schema=runfold, or leave it out")
    if schema is not None:
        quoted = '"' + schema.replace('"', '""') + '"'
        # Blanks separate options, and a backslash escapes them.
        quoted = quoted.replace("\\", "\\\\").replace(" ", "\\ ")
        options["options"] = f"{options.get('options', '')} -csearch_path={quoted}".strip()
    return options, int(size)
