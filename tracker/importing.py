"""Histories from a file: a line a snapshot, as the service sent it.

A line is the run object itself, or `{"observed_at": …, "source": …, "body": {…}}`. Without an
`observed_at` (ISO 8601 or unix seconds) it counts as seen now, and of unknown age.
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
from tracker.histories import Histories, look

LINES_PER_BATCH = 500

ToSnapshot = Callable[..., RunSnapshot]

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
    to_snapshot: ToSnapshot,
    *,
    source: str,
    clock: Clock,
    progress: Callable[[int], None] = lambda size: None,
) -> ImportReport:
    """Records every line that is a run; a line that is not is reported and leaves the rest.

    `to_snapshot(body, source, observed_at=…, asked_at=…)` maps a body, `source` names those
    that do not say. `progress` is told the bytes of each batch once it is durable. Raises
    StoreUnavailable where the database fails; the batches before are kept.
    """
    report = ImportReport()
    numbered = enumerate(lines, 1)
    while batch := list(islice(numbered, LINES_PER_BATCH)):
        read = _bounded(list(_read(batch, to_snapshot, source, clock.now(), report)))
        results = histories.record([look(snapshot) for _, snapshot in read])
        for (number, snapshot), result in zip(read, results, strict=True):
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
    to_snapshot: ToSnapshot,
    source: str,
    now: datetime,
    report: ImportReport,
) -> Iterator[tuple[int, RunSnapshot]]:
    for number, line in batch:
        if line.strip():
            try:
                yield number, _snapshot(line, to_snapshot, source, now)
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


def _snapshot(line: bytes, to_snapshot: ToSnapshot, source: str, now: datetime) -> RunSnapshot:
    try:
        document = from_json(line)
    except ValueError as error:
        raise PayloadError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise PayloadError(f"a {type(document).__name__}, where a JSON object of a run belongs")
    if "body" not in document:
        return to_snapshot(document, source, observed_at=now, asked_at=None)
    seen = _observed_at(document.get("observed_at"))
    name = document.get("source") or source
    if not isinstance(name, str):
        raise PayloadError("source: not a text")
    body = document["body"]
    if not isinstance(body, dict):
        raise PayloadError("body: not a JSON object")
    return to_snapshot(body, name, observed_at=seen or now, asked_at=seen)


def _observed_at(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return _moment.validate_python(value).astimezone(UTC)
    except (ValidationError, OverflowError):
        raise PayloadError(
            f"observed_at: {value!r} is no moment; use unix seconds or ISO 8601 with its offset"
        ) from None
