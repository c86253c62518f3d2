"""Resolves a payload to its source, its run, and the observations to record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tracker.core.identifiers import is_identifier
from tracker.core.state import UNKNOWN_VERSION
from tracker.errors import PayloadError
from tracker.recording.observation import Observation
from tracker.sources.assistants.resource import Assistants
from tracker.sources.detection import check_run
from tracker.sources.http.source import HttpSource
from tracker.sources.registry import SourceRegistry
from tracker.sources.source import Source, StepSource, UndecidedSource
from tracker.sources.stream_events import StreamPayload


class ResolvedPayload(NamedTuple):
    """A payload with its source and run."""

    origin: Source
    thread_id: str | None
    run_id: str
    # Of the run, then of the run that it continues, if any.
    observations: list[Observation]
    # False for a run that its service does not store, and so cannot be polled.
    is_stored: bool = True
    # True if the payload does not tell whether the run is done.
    is_undecided: bool = False


def resolve_payload(
    sources: SourceRegistry,
    payload: StreamPayload,
    source: str | None,
    observed_at: datetime,
    asked_at: datetime | None = None,
) -> ResolvedPayload:
    """Resolves a payload to the source of that name, or to the source that recognises it.

    Raises PayloadError if it is not a run or step, SettingsError if its source is ambiguous.
    """
    body = payload.body
    if payload.kind == "step":
        return _resolve_step(sources, body, source, observed_at)
    origin = sources.recognising(body) if source is None else sources.named(source)
    if payload.kind == "document":
        check_source(origin, body)
    snapshot = origin.snapshot(body, observed_at=observed_at, asked_at=asked_at)
    # A document that came just now is of unknown age, but not older than another that came before.
    known = UNKNOWN_VERSION if asked_at is None else None
    observations = [
        entry
        for entry in (Observation.of(snapshot, known), Observation.of_predecessor(snapshot))
        if entry is not None
    ]
    is_stored = body.get("store") is not False
    is_undecided = isinstance(origin, UndecidedSource) and origin.is_undecided(body)
    return ResolvedPayload(
        origin, snapshot.thread_id, snapshot.run_id, observations, is_stored, is_undecided
    )


def check_source(source: Source, document: Mapping[str, Any]) -> None:
    """Raises PayloadError, with the name of the object, unless a document is a run of a source."""
    if isinstance(source, HttpSource) and not source.recognises(document):
        check_run(document, source.payload_format.api)


def _resolve_step(
    sources: SourceRegistry, body: Mapping[str, Any], source: str | None, observed_at: datetime
) -> ResolvedPayload:
    if source is None and len(sources) > 1:
        source = sources.only_name_of(Assistants, "source='…'")
    origin, run_id, thread_id = sources.named(source), body.get("run_id"), body.get("thread_id")
    if not isinstance(origin, StepSource):
        raise PayloadError(f"not a run, but a step, of which the source {origin.name!r} has none")
    if not is_identifier(run_id):
        raise PayloadError("not a step that can be tracked: run_id: it is missing, or no id")
    thread = thread_id if is_identifier(thread_id) else None
    step = origin.steps_snapshot(body)
    entry = Observation.of_step(origin.name, run_id, thread, step, observed_at)
    return ResolvedPayload(origin, thread, run_id, [entry])
