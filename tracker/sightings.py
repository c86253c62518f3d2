"""Sightings: what somebody hands in of a run, or of a step of one, and whose run it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tracker.core.events import run_stream
from tracker.core.facts import decide_steps
from tracker.errors import PayloadError
from tracker.looks import Look, continued, look
from tracker.sources.assistants import Assistants
from tracker.sources.directory import Directory
from tracker.sources.source import Source, StepSource
from tracker.sources.stream_events import Shown


class Sighting(NamedTuple):
    """What was seen of a run: the look at it, and maybe another at the run it goes on from.

    `thread_id` is empty where it has none. A run that its service does not keep cannot be asked
    about.
    """

    origin: Source
    thread_id: str
    run_id: str
    looks: list[Look]
    is_kept: bool = True


def sighting(
    sources: Directory,
    shown: Shown,
    source: str | None,
    observed_at: datetime,
    asked_at: datetime | None = None,
) -> Sighting:
    """What was shown as a sighting, of the source of that name or the one that recognises it.

    Raises PayloadError where it is no run or step, SettingsError where nobody can tell whose.
    """
    body = shown.body
    if shown.kind == "step":
        return _of_step(sources, body, source, observed_at)
    origin = sources.recognising(body) if source is None else sources.named(source)
    snapshot = origin.snapshot(body, observed_at=observed_at, asked_at=asked_at)
    looks = [entry for entry in (look(snapshot), continued(snapshot)) if entry is not None]
    is_kept = body.get("store") is not False
    return Sighting(origin, snapshot.thread_id or "", snapshot.run_id, looks, is_kept)


def _of_step(
    sources: Directory, body: Mapping[str, Any], source: str | None, observed_at: datetime
) -> Sighting:
    if source is None and len(sources) > 1:
        source = sources.only(Assistants, "source='…'")
    origin, run_id, thread_id = sources.named(source), body.get("run_id"), body.get("thread_id")
    if not isinstance(origin, StepSource):
        raise PayloadError(f"not a run, but a step, of which the source {origin.name!r} has none")
    if not isinstance(run_id, str) or not run_id:
        raise PayloadError("not a step that can be tracked: run_id: it is missing")
    step = origin.steps_snapshot(body)
    entry = Look(
        run_stream(origin.name, run_id), lambda state: decide_steps(state, [step], observed_at)
    )
    return Sighting(origin, thread_id if isinstance(thread_id, str) else "", run_id, [entry])
