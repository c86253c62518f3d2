"""Where runs are asked about: one module an API, each loaded on first use.

Importing this package loads no HTTP client; a source does when it is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.sources.agents.resource import AgentTurns as AgentTurns
    from tracker.sources.answer import Answer as Answer
    from tracker.sources.assistants.resource import Assistants as Assistants
    from tracker.sources.http.source import HttpSource as HttpSource
    from tracker.sources.langgraph.resource import LangGraph as LangGraph
    from tracker.sources.responses.resource import Responses as Responses
    from tracker.sources.source import PageSource as PageSource
    from tracker.sources.source import Source as Source

_HOMES = {
    "AgentTurns": "tracker.sources.agents.resource",
    "Answer": "tracker.sources.answer",
    "Assistants": "tracker.sources.assistants.resource",
    "HttpSource": "tracker.sources.http.source",
    "LangGraph": "tracker.sources.langgraph.resource",
    "PageSource": "tracker.sources.source",
    "Responses": "tracker.sources.responses.resource",
    "Source": "tracker.sources.source",
}

__all__ = [
    "AgentTurns",
    "Answer",
    "Assistants",
    "HttpSource",
    "LangGraph",
    "PageSource",
    "Responses",
    "Source",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker.sources' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
