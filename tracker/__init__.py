"""runfold's write side: it watches runs of AI agents and records what happened to them.

Importing this package starts nothing and loads nothing: each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from tracker.app.background import BackgroundTracker as BackgroundTracker
    from tracker.app.tracker import Tracker as Tracker
    from tracker.core.snapshot import RunSnapshot as RunSnapshot
    from tracker.core.state import RunState as RunState
    from tracker.delivery import Delivery as Delivery
    from tracker.errors import RunfoldError as RunfoldError
    from tracker.event_store import EventStore as EventStore
    from tracker.event_store import open_event_store as open_event_store
    from tracker.ingest.backfill import Backfilled as Backfilled

_HOMES = {
    "Backfilled": "tracker.ingest.backfill",
    "BackgroundTracker": "tracker.app.background",
    "Delivery": "tracker.delivery",
    "EventStore": "tracker.event_store",
    "RunSnapshot": "tracker.core.snapshot",
    "RunState": "tracker.core.state",
    "RunfoldError": "tracker.errors",
    "Tracker": "tracker.app.tracker",
    "open_event_store": "tracker.event_store",
}

__all__ = [
    "Backfilled",
    "BackgroundTracker",
    "Delivery",
    "EventStore",
    "RunSnapshot",
    "RunState",
    "RunfoldError",
    "Tracker",
    "open_event_store",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("runfold")
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
