"""Helpers for tests of runfold and of code that uses it: a clock, given/when/then, contracts.

Importing this package loads nothing: each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.testing.clock import FakeClock as FakeClock
    from tracker.testing.event_store_contract import EventStoreContract as EventStoreContract
    from tracker.testing.given_when_then import Given as Given
    from tracker.testing.given_when_then import given as given
    from tracker.testing.source_contract import SourceContract as SourceContract

_HOMES = {
    "EventStoreContract": "tracker.testing.event_store_contract",
    "FakeClock": "tracker.testing.clock",
    "Given": "tracker.testing.given_when_then",
    "SourceContract": "tracker.testing.source_contract",
    "given": "tracker.testing.given_when_then",
}

__all__ = ["EventStoreContract", "FakeClock", "Given", "SourceContract", "given"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
