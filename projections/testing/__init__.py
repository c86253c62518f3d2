"""The contract of projections of your own, as tests for pytest.

Importing this package loads nothing: each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.testing.contract import ProjectionContract as ProjectionContract
    from projections.testing.generated_runs import random_histories as random_histories

_HOMES = {
    "ProjectionContract": "projections.testing.contract",
    "random_histories": "projections.testing.generated_runs",
}

__all__ = ["ProjectionContract", "random_histories"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'projections.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
