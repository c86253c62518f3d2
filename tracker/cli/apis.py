"""The APIs that the command line supports, and the options that select a service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.errors import SettingsError
from tracker.sources.payload_format import Api

if TYPE_CHECKING:
    from tracker.sources import Source
    from tracker.sources.http.transport import AuthHeader


def make_source(
    api: Api,
    base_url: str | None,
    api_key: str | None,
    name: str | None = None,
    api_version: str | None = None,
) -> Source:
    """Returns the source for a service of this API. Opens nothing before the first call.

    LangGraph gets the key from LANGSMITH_API_KEY, never `api_key`. Raises SettingsError for a
    missing or invalid address, and for an invalid name.
    """
    from tracker.sources import AgentTurns, Assistants, LangGraph, Responses

    if not base_url:
        raise SettingsError("no service: pass --base-url URL or set OPENAI_BASE_URL")
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


BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        envvar="OPENAI_BASE_URL",
        metavar="URL",
        help="Address of the service, with /v1 if it has one.",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="OPENAI_API_KEY", metavar="KEY", help="API key.", hidden=True),
]
ApiOption = Annotated[
    Api,
    typer.Option("--api", metavar="API", help="assistants, responses, agents or langgraph."),
]
SourceName = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="NAME",
        help="Name of the source.",
        show_default="name of the API",
    ),
]
ApiVersion = Annotated[
    str | None,
    typer.Option(
        "--api-version",
        metavar="VERSION",
        help="For Azure: its api-version; the key is sent as api-key.",
    ),
]
