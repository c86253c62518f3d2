"""The APIs that the command line watches runs through."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.sources import Source
    from tracker.sources.http.transport import AuthHeader


class Api(StrEnum):
    """What a service speaks; it names the source where nobody else does."""

    assistants = "assistants"
    responses = "responses"
    agents = "agents"
    langgraph = "langgraph"

    def source(
        self, base_url: str, api_key: str | None, name: str | None, api_version: str | None
    ) -> Source:
        """The source that asks such a service. A key of OpenAI is not shown to LangGraph.

        Raises SettingsError for an address or a name that cannot be used.
        """
        from tracker.sources import AgentTurns, Assistants, LangGraph, Responses

        name = name or self.value
        header: AuthHeader = "api-key" if api_version else "bearer"
        match self:
            case Api.langgraph:
                return LangGraph(base_url, os.environ.get("LANGSMITH_API_KEY"), name=name)
            case Api.agents:
                return AgentTurns(base_url, api_key, name=name)
            case Api.responses:
                return Responses(
                    base_url, api_key, name=name, auth_header=header, api_version=api_version
                )
            case _:
                return Assistants(
                    base_url, api_key, name=name, auth_header=header, api_version=api_version
                )
