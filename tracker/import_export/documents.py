"""The documents in a line of a file: runs, steps and exported events, and what wraps them.

A line is one of these, or an array of them: a run or a step as the service sent it, a page of a
list, an event of a stream, a webhook that shows a run, an event of `runfold export --events`, and
`{"observed_at": …, "source": …, "body": …}` around any of these but the last. This may also have
`asked_at`, when the answer was asked for, and `"call": "create"` if it is the answer to the call
that made the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from tracker.core.identifiers import is_identifier, is_source_name
from tracker.core.snapshot import UNTOLD, RunSnapshot, StepSnapshot
from tracker.errors import PayloadError
from tracker.import_export.event_json import EventLine, decode_event, is_event_line
from tracker.sources.assistants.snapshots import step_snapshot
from tracker.sources.detection import FORMATS, detect_format, is_step
from tracker.sources.documents import decode_value
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.stream_events import StreamPayload, is_event, payload_in

# An array of pages of runs has three.
_WRAPPED_LEVELS = 4
_DATA = b"data:"
_OTHER_FIELDS = (b"event:", b"id:", b"retry:", b":")

_moment = TypeAdapter(AwareDatetime)


class StepLine(NamedTuple):
    """A step of a run."""

    source: str
    run_id: str
    thread_id: str | None
    step: StepSnapshot
    observed_at: datetime


Document = RunSnapshot | StepLine | EventLine


class _Frame(NamedTuple):
    """The source and the times of a document, as far as they are known."""

    source: str | None
    observed_at: datetime
    # None if the age of the document is not known.
    asked_at: datetime | None
    # `UNTOLD` if `asked_at` is only the moment of the arrival.
    asked_since: datetime | None = None
    # The call that this answers, if it made the run.
    call: Literal["create"] | None = None


def read_documents(
    line: bytes, source: str | None, now: datetime
) -> Iterator[Document | PayloadError]:
    """Yields the documents of a line, and an error for each part of it that is none.

    `source` is the source of runs that do not name theirs; if it is None, the name of their API.
    An event of a stream that shows neither a run nor a step is passed over, as are the names of
    server-sent events.
    """
    content = line.strip()
    if content.startswith(_OTHER_FIELDS):
        return
    frame = _Frame(source, now, None)
    try:
        if content.startswith(_DATA):
            payload = payload_in({"data": content.removeprefix(_DATA).strip()})
            if payload is not None:
                yield _read_payload(payload, frame)
        else:
            yield from _unwrap(decode_value(content), frame, _WRAPPED_LEVELS)
    except PayloadError as error:
        yield error


def _unwrap(value: Any, frame: _Frame, levels: int) -> Iterator[Document | PayloadError]:
    if isinstance(value, list):
        yield from _unwrap_entries(value, frame, levels)
    elif not isinstance(value, dict):
        raise PayloadError("not a JSON object")
    elif is_event_line(value):
        yield decode_event(value)
    elif is_step(value) or any(it.recognises(value) for it in FORMATS):
        yield _read_document(value, frame)
    elif "body" in value:
        yield from _unwrap_entries([value["body"]], _read_frame(value, frame), levels)
    elif isinstance(value.get("data"), list) and value.get("object") in (None, "list"):
        yield from _unwrap_entries(value["data"], frame, levels)
    elif is_event(value):
        payload = payload_in(value)
        if payload is not None:
            yield _read_payload(payload, frame)
    else:
        yield _read_document(_find_wrapped(value), frame)


def _unwrap_entries(
    entries: list[Any], frame: _Frame, levels: int
) -> Iterator[Document | PayloadError]:
    for number, entry in enumerate(entries, 1):
        place = f"entry {number}: " if len(entries) > 1 else ""
        try:
            if levels == 0:
                raise PayloadError("a run within too many others")
            yield from _unwrap(entry, frame, levels - 1)
        except PayloadError as error:
            yield PayloadError(f"{place}{error}")


def _find_wrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Returns the run in a webhook; any other object as it is.

    Raises PayloadError for a webhook that names a run without showing it.
    """
    for name in ("data", "response"):
        inner = value.get(name)
        if isinstance(inner, dict) and (
            is_step(inner) or any(it.recognises(inner) for it in FORMATS)
        ):
            return inner
    data = value.get("data")
    if isinstance(value.get("type"), str) and isinstance(data, dict) and "status" not in data:
        raise PayloadError("an event that names its subject without showing it: not a run")
    return value


def _read_document(document: Mapping[str, Any], frame: _Frame) -> Document:
    if is_step(document):
        return _read_step(document, frame)
    return _read_run(detect_format(document), document, frame)


def _read_payload(payload: StreamPayload, frame: _Frame) -> Document:
    if payload.kind == "step":
        return _read_step(payload.body, frame)
    return _read_run(detect_format(payload.body), payload.body, frame)


def _read_run(
    payload_format: PayloadFormat, document: Mapping[str, Any], frame: _Frame
) -> RunSnapshot:
    snapshot = payload_format.snapshot(
        document,
        payload_format.name if frame.source is None else frame.source,
        observed_at=frame.observed_at,
        asked_at=frame.asked_at,
    )
    if frame.asked_since is None and frame.call is None:
        return snapshot
    told = {"asked_since": frame.asked_since, "call": frame.call}
    return snapshot.model_copy(update=told)


def _read_step(document: Mapping[str, Any], frame: _Frame) -> StepLine:
    run_id, thread_id = document.get("run_id"), document.get("thread_id")
    if not is_identifier(run_id):
        raise PayloadError("not a step that can be tracked: run_id: it is missing, or no id")
    source = Api.assistants.value if frame.source is None else frame.source
    if not is_source_name(source):
        raise PayloadError("source: not the name of a source")
    thread = thread_id if is_identifier(thread_id) else None
    return StepLine(source, run_id, thread, step_snapshot(document), frame.observed_at)


def _read_frame(document: Mapping[str, Any], frame: _Frame) -> _Frame:
    observed_at, asked_at = _read_time(document, "observed_at"), _read_time(document, "asked_at")
    if observed_at is None and asked_at is not None:
        raise PayloadError("asked_at: without observed_at, when the answer came")
    if observed_at is not None and asked_at is not None and asked_at > observed_at:
        raise PayloadError("asked_at: after observed_at, when the answer came")
    call = document.get("call")
    if call not in (None, "create"):
        raise PayloadError('call: "create" for the answer to the call that made the run, or none')
    name = document.get("source") or frame.source
    if name is not None and not isinstance(name, str):
        raise PayloadError("source: not a text")
    if not isinstance(document["body"], dict | list):
        raise PayloadError("body: not a JSON object")
    if observed_at is None:
        return _Frame(name, frame.observed_at, None)
    if asked_at is None:
        return _Frame(name, observed_at, observed_at, UNTOLD)
    return _Frame(name, observed_at, asked_at, call=call)


def _read_time(document: Mapping[str, Any], name: str) -> datetime | None:
    value = document.get(name)
    if value is None:
        return None
    try:
        return _moment.validate_python(value).astimezone(UTC)
    except (ValidationError, OverflowError):
        raise PayloadError(
            f"{name}: {value!r} is not a time; use unix seconds or ISO 8601 with its offset"
        ) from None
