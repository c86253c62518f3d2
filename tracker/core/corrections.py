"""Events from a snapshot beside the status: identity, usage, metadata and expiry of a run.

What nobody had told is taken in from any document; a known value is only replaced by a newer one.
"""

from __future__ import annotations

from typing import Any

from tracker.core import events as e
from tracker.core.decision import Decision
from tracker.core.state import NO_METADATA, metadata_marker

# Told once, and then never replaced.
_IDENTITY = (
    *("thread_id", "assistant_id", "created_at"),
    *("parent_run_id", "subagent_id", "environment_id"),
)


def add_identity(decision: Decision) -> None:
    """Adds what identifies the run, and its metadata, if it was not known; and another model."""
    snapshot, state = decision.snapshot, decision.state
    news: dict[str, Any] = {
        name: told
        for name in _IDENTITY
        if (told := getattr(snapshot, name)) and not getattr(state, name)
    }
    if snapshot.configuration is not None and state.configuration_digest is None:
        news["configuration_digest"] = snapshot.configuration.digest
        if snapshot.configuration.never_pauses:
            news["never_pauses"] = True
    if snapshot.model and (not state.model or _is_other_model(decision, snapshot.model)):
        news["model"] = snapshot.model
    if news:
        decision.add(e.RunIdentified(**decision.look, **news))
    if snapshot.metadata and NO_METADATA in state.past:
        decision.add(
            e.RunMetadataChanged(
                **decision.look,
                previous=state.metadata,
                metadata=snapshot.metadata,
            )
        )


def _is_other_model(decision: Decision, model: str) -> bool:
    """True if a run has another model than the known one: a router names its choice late."""
    state = decision.state
    if model == state.model or decision.snapshot.has_model_of_thread:
        return False
    return decision.is_correction(("model", model))


def add_corrections(decision: Decision) -> None:
    """Adds what the service changed beside the status, or had not told before."""
    snapshot, state, look = decision.snapshot, decision.state, decision.look
    usage, expires_at, metadata = snapshot.usage, snapshot.expires_at, snapshot.metadata
    has_usage = state.is_ended or state.needs_action
    if (
        has_usage
        and usage is not None
        and usage != state.usage
        and (state.usage is None or decision.is_correction(("usage", usage)))
    ):
        decision.add(e.RunUsageReported(**look, previous=state.usage, usage=usage))
    thread_usage = snapshot.thread_usage
    if (
        has_usage
        and thread_usage is not None
        and thread_usage != state.thread_usage
        and (state.thread_usage is None or decision.is_correction(("thread_usage", thread_usage)))
    ):
        decision.add(
            e.ThreadUsageReported(
                observed_at=decision.observed_at, previous=state.thread_usage, usage=thread_usage
            )
        )
    has_moved = not state.is_ended and expires_at not in (None, state.expires_at)
    if has_moved and (
        state.expires_at is None or decision.is_correction(("expires_at", expires_at))
    ):
        decision.add(
            e.RunTimesChanged(
                **look,
                previous_expires_at=state.expires_at,
                expires_at=expires_at,
            )
        )
    if metadata is None or metadata == state.metadata:
        return
    if decision.is_correction(metadata_marker(metadata)):
        decision.add(e.RunMetadataChanged(**look, previous=state.metadata, metadata=metadata))
