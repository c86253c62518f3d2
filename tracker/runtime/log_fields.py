"""Attributes of log records: `source`, `run` and `handlers`.

They hold ids and names only: no key, document or text of a run is logged.
"""

from __future__ import annotations


def of_run(stream: str) -> dict[str, str]:
    """Returns the fields of a record about the run of a stream."""
    source, _, run_id = stream.partition(":")
    return {"source": source, "run": run_id}


def of_source(name: str) -> dict[str, str]:
    """Returns the fields of a record about a source."""
    return {"source": name}


def of_handlers(name: str) -> dict[str, str]:
    """Returns the fields of a record about the handlers of a name."""
    return {"handlers": name}
