"""Sources: the services that runs are read from, one package per API, loaded on first use.

Importing this package loads no HTTP client; the first use of a source does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.sources.agents.resource import AgentTurns as AgentTurns
    from tracker.sources.answer import Answer as Answer
    from tracker.sources.assistants.models import Run as Run
    from tracker.sources.assistants.models import RunStep as RunStep
    from tracker.sources.assistants.models import RunToolCall as RunToolCall
    from tracker.sources.assistants.resource import Assistants as Assistants
    from tracker.sources.counts import counted as counted
    from tracker.sources.documents import decode as decode
    from tracker.sources.http.source import HttpSource as HttpSource
    from tracker.sources.langgraph.resource import LangGraph as LangGraph
    from tracker.sources.responses.models import Response as Response
    from tracker.sources.responses.resource import Responses as Responses
    from tracker.sources.source import PageSource as PageSource
    from tracker.sources.source import RunListSource as RunListSource
    from tracker.sources.source import Source as Source
    from tracker.sources.stamps import read_stamp as read_stamp

_HOMES = {
    "AgentTurns": "tracker.sources.agents.resource",
    "Answer": "tracker.sources.answer",
    "Assistants": "tracker.sources.assistants.resource",
    "HttpSource": "tracker.sources.http.source",
    "LangGraph": "tracker.sources.langgraph.resource",
    "PageSource": "tracker.sources.source",
    "Response": "tracker.sources.responses.models",
    "Responses": "tracker.sources.responses.resource",
    "Run": "tracker.sources.assistants.models",
    "RunListSource": "tracker.sources.source",
    "RunStep": "tracker.sources.assistants.models",
    "RunToolCall": "tracker.sources.assistants.models",
    "Source": "tracker.sources.source",
    "counted": "tracker.sources.counts",
    "decode": "tracker.sources.documents",
    "read_stamp": "tracker.sources.stamps",
}

__all__ = [
    "AgentTurns",
    "Answer",
    "Assistants",
    "HttpSource",
    "LangGraph",
    "PageSource",
    "Response",
    "Responses",
    "Run",
    "RunListSource",
    "RunStep",
    "RunToolCall",
    "Source",
    "counted",
    "decode",
    "read_stamp",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker.sources' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
