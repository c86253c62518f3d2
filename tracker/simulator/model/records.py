"""Stored threads, messages, assistants and runs of the simulated service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tracker.simulator.model.parameters import Parameters


@dataclass(slots=True)
class MessageRecord:
    """A message that a client added to a thread."""

    id: str
    thread_id: str
    created_at: float
    role: str
    content: Any
    metadata: dict[str, str]


@dataclass(slots=True)
class AssistantRecord:
    """An assistant that a client created."""

    id: str
    created_at: float
    settings: dict[str, Any]
    metadata: dict[str, str]


@dataclass(slots=True)
class RunRecord:
    """A run or a response: its request, its parameters, and the interventions of clients."""

    id: str
    thread_id: str
    assistant_id: str
    model: str
    created_at: float
    settings: dict[str, Any]
    tools: list[Any]
    metadata: dict[str, str]
    parameters: Parameters
    # The time of submission of tool outputs, by lap.
    answers: dict[int, float] = field(default_factory=dict)
    # The tool outputs by call id.
    outputs: dict[str, str] = field(default_factory=dict)
    cancel_at: float | None = None
    # The time that the last response to a poll described.
    last_polled_at: float | None = None
    # The number of interventions so far.
    revision: int = 0
    # The sub-agent of its session that a turn is of.
    subagent_id: str | None = None


@dataclass(slots=True)
class SubagentRecord:
    """A sub-agent of a session with its turns, oldest first."""

    id: str
    opened_at: float
    turns: dict[str, RunRecord] = field(default_factory=dict)


@dataclass(slots=True)
class SessionRecord:
    """A session of an agent with its turns and its sub-agents, oldest first."""

    id: str
    agent_id: str
    environment_id: str
    model: str
    created_at: float
    tools: list[Any]
    # Prompt tokens that the session counts and no turn does.
    overhead: int = 0
    turns: dict[str, RunRecord] = field(default_factory=dict)
    subagents: dict[str, SubagentRecord] = field(default_factory=dict)

    @property
    def all_turns(self) -> list[RunRecord]:
        """The turns of the session, then those of its sub-agents."""
        others = (turn for it in self.subagents.values() for turn in it.turns.values())
        return [*self.turns.values(), *others]


@dataclass(slots=True)
class ThreadRecord:
    """A thread with its messages and runs, oldest first."""

    id: str
    created_at: float
    metadata: dict[str, str]
    messages: list[MessageRecord] = field(default_factory=list)
    runs: dict[str, RunRecord] = field(default_factory=dict)
