"""The payload formats of the APIs. Loads nothing heavy: the command line lists the APIs by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tracker.core.snapshot import RunSnapshot


class Api(StrEnum):
    """The APIs that runs are read from. The value is the default name of a source."""

    assistants = "assistants"
    responses = "responses"
    agents = "agents"
    langgraph = "langgraph"


class PayloadFormat(NamedTuple):
    """The representation of a run in one API, and the functions that read it."""

    api: Api
    # True if a document of unknown origin is a run of this API, and of no other.
    recognises: Callable[[Mapping[str, Any]], bool]
    # The fields of a body that change while the run lives, compared with `==`.
    glance: Callable[[bytes], object]
    # Called as snapshot(body, source, observed_at=…, asked_at=…, unchanged_until=…).
    snapshot: Callable[..., RunSnapshot]

    @property
    def name(self) -> str:
        """The default name of a source of this API."""
        return self.api.value
