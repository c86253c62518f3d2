"""Runs and tools of the tests of the Responses API."""

from dataclasses import replace
from typing import Any

from tests.support.tracker_settings import PLAIN

# Responses that ask for tool outputs twice.
ASKING = replace(PLAIN, action=1.0, max_actions=2)
TOOLS: list[Any] = [
    {"type": "function", "name": "find_order", "parameters": {"type": "object"}, "strict": False},
    {"type": "code_interpreter", "container": {"type": "auto"}},
]
