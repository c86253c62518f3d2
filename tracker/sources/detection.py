"""The payload formats of all APIs, and the detection of a document's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracker.sources.agents import snapshots as agents
from tracker.sources.assistants import snapshots as assistants
from tracker.sources.langgraph import snapshots as langgraph
from tracker.sources.payload_format import PayloadFormat
from tracker.sources.responses import snapshots as responses

FORMATS = (assistants.FORMAT, responses.FORMAT, agents.FORMAT, langgraph.FORMAT)


def detect_format(document: Mapping[str, Any]) -> PayloadFormat:
    """Returns the format of a run of unknown origin.

    A document that no format recognises gets the first one, whose `snapshot` then raises
    PayloadError with the missing fields.
    """
    return next((it for it in FORMATS if it.recognises(document)), FORMATS[0])
