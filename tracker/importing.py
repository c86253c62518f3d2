"""Histories from a file: a line a snapshot, as the service sent it.

A line is the run object itself, or `{"observed_at": …, "source": …, "body": {…}}`. Without an
`observed_at` (ISO 8601 or unix seconds) it counts as seen now, and of unknown age. Of which API a
run is, its shape tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic_core import from_json

from tracker.clock import Clock
from tracker.core.snapshot import RunSnapshot
from tracker.core.status import is_ended
from tracker.errors import PayloadError, RunfoldError
from tracker.histories import Histories, continued, look
from tracker.sources.shapes import shape_of

LINES_PER_BATCH = 500

_moment = TypeAdapter(AwareDatetime)


@dataclass
class ImportReport:
    """What came of an import: counts of lines and events, and each bad line with its number."""

    lines: int = 0
    events: int = 0
    runs: set[str] = field(default_factory=set)
    bad: list[tuple[int, str]] = field(default_factory=list)


def import_lines(
    lines: Iterable[bytes],
    histories: Histories,
    *,
    source: str | None,
    clock: Clock,
    progress: Callable[[int], None] = lambda size: None,
) -> ImportReport:
    """Records every line that is a run; a line that is not is reported and leaves the rest.

    `source` names those that do not say; where it is None, those are named as their API is.
    `progress` is told the bytes of each batch once it is durable. Raises
    StoreUnavailable where the database fails; the batches before are kept.
    """
    report = ImportReport()
    numbered = enumerate(lines, 1)
    while batch := list(islice(numbered, LINES_PER_BATCH)):
        read = _bounded(list(_read(batch, source, clock.now(), report)))
        looks = [look(snapshot) for _, snapshot in read]
        ends = [entry for _, snapshot in read if (entry := continued(snapshot)) is not None]
        results = histories.record([*looks, *ends])
        for result in results[len(looks) :]:
            report.events += 0 if isinstance(result, RunfoldError) else len(result.events)
        for (number, snapshot), result in zip(read, results[: len(looks)], strict=True):
            if isinstance(result, RunfoldError):
                report.bad.append((number, str(result)))
            else:
                report.lines += 1
                report.events += len(result.events)
                report.runs.add(snapshot.run_id)
        progress(sum(len(line) for _, line in batch))
    report.bad.sort()
    return report


def decoded(payload: Mapping[str, Any] | bytes | str) -> Mapping[str, Any]:
    """A document as the JSON object that it is. Raises PayloadError where it is none."""
    if isinstance(payload, Mapping):
        return payload
    try:
        body = from_json(payload)
    except ValueError as error:
        raise PayloadError(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise PayloadError(f"a {type(body).__name__}, where a JSON object of a run belongs")
    return body


def _read(
    batch: list[tuple[int, bytes]],
    source: str | None,
    now: datetime,
    report: ImportReport,
) -> Iterator[tuple[int, RunSnapshot]]:
    for number, line in batch:
        if line.strip():
            try:
                yield number, _snapshot(line, source, now)
            except PayloadError as error:
                report.bad.append((number, str(error)))


def _bounded(read: list[tuple[int, RunSnapshot]]) -> list[tuple[int, RunSnapshot]]:
    """The same, where a document of unknown age is bounded by what others say of its run.

    An open run was seen before its next start, and before its end.
    """
    stamps: dict[tuple[str, str], set[datetime]] = {}
    for _, snapshot in read:
        of_run = stamps.setdefault((snapshot.source, snapshot.run_id), set())
        of_run.update(filter(None, (snapshot.started_at, snapshot.ended_at)))
    bounded = []
    for number, snapshot in read:
        if snapshot.asked_at is None and not is_ended(snapshot.status):
            began = snapshot.started_at or snapshot.created_at
            later = [
                stamp
                for stamp in stamps[snapshot.source, snapshot.run_id]
                if began is None or stamp > began
            ]
            snapshot = snapshot.model_copy(update={"not_after": min(later, default=None)})
        bounded.append((number, snapshot))
    return bounded


def _snapshot(line: bytes, source: str | None, now: datetime) -> RunSnapshot:
    try:
        document = from_json(line)
    except ValueError as error:
        raise PayloadError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise PayloadError(f"a {type(document).__name__}, where a JSON object of a run belongs")
    if "body" not in document:
        return _mapped(document, source, now, None)
    seen = _observed_at(document.get("observed_at"))
    name = document.get("source") or source
    if name is not None and not isinstance(name, str):
        raise PayloadError("source: not a text")
    body = document["body"]
    if not isinstance(body, dict):
        raise PayloadError("body: not a JSON object")
    return _mapped(body, name, seen or now, seen)


def _mapped(
    body: dict[str, Any], name: str | None, observed_at: datetime, asked_at: datetime | None
) -> RunSnapshot:
    shape = shape_of(body)
    source = shape.name if name is None else name
    return shape.to_snapshot(body, source, observed_at=observed_at, asked_at=asked_at)


def _observed_at(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return _moment.validate_python(value).astimezone(UTC)
    except (ValidationError, OverflowError):
        raise PayloadError(
            f"observed_at: {value!r} is no moment; use unix seconds or ISO 8601 with its offset"
        ) from None
