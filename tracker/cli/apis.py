"""Makes the source that a command asks, from the command's options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tracker.sources.payload_format import Api

if TYPE_CHECKING:
    from tracker.sources import Source
    from tracker.sources.http.transport import AuthHeader


def make_source(
    api: Api, base_url: str, api_key: str | None, name: str | None, api_version: str | None
) -> Source:
    """Returns a source that asks a service by this API. Nothing is opened before the first call.

    LangGraph gets the key in LANGSMITH_API_KEY, never `api_key`, which is OpenAI's. Raises
    SettingsError for an address or a name that cannot be used.
    """
    from tracker.sources import AgentTurns, Assistants, LangGraph, Responses

    name = name or api.value
    header: AuthHeader = "api-key" if api_version else "bearer"
    match api:
        case Api.langgraph:
            return LangGraph(base_url, os.environ.get("LANGSMITH_API_KEY"), name=name)
        case Api.agents:
            return AgentTurns(base_url, api_key, name=name)
        case Api.responses:
            return Responses(
                base_url, api_key, name=name, auth_header=header, api_version=api_version
            )
        case Api.assistants:
            return Assistants(
                base_url, api_key, name=name, auth_header=header, api_version=api_version
            )
