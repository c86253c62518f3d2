"""What the simulated service keeps of threads, messages, assistants and runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tracker.simulator.model.parameters import Parameters


@dataclass(slots=True)
class MessageRecord:
    """A message that a client put into a thread."""

    id: str
    thread_id: str
    created_at: float
    role: str
    content: Any
    metadata: dict[str, str]


@dataclass(slots=True)
class AssistantRecord:
    """An assistant that a client made."""

    id: str
    created_at: float
    settings: dict[str, Any]
    metadata: dict[str, str]


@dataclass(slots=True)
class RunRecord:
    """A run: what was asked for, how such runs live, and what clients did to it since.

    `answers` holds when the outputs of a lap were submitted, `outputs` their texts by call,
    `looked_at` when the run was last retrieved; `revision` counts what changed its life.
    """

    id: str
    thread_id: str
    assistant_id: str
    model: str
    created_at: float
    settings: dict[str, Any]
    tools: list[Any]
    metadata: dict[str, str]
    parameters: Parameters
    answers: dict[int, float] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    cancel_at: float | None = None
    last_polled_at: float | None = None
    revision: int = 0


@dataclass(slots=True)
class ThreadRecord:
    """A thread with its messages and runs, oldest first."""

    id: str
    created_at: float
    metadata: dict[str, str]
    messages: list[MessageRecord] = field(default_factory=list)
    runs: dict[str, RunRecord] = field(default_factory=dict)
