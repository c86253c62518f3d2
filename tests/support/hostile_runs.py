"""Runs whose every text is hostile, and the same runs with harmless texts."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

from projections import Views
from tracker.core import events as e
from tracker.core.identifiers import run_stream
from tracker.core.snapshot import RunError, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import Append, open_event_store

NOW = datetime(2026, 11, 26, 15, 42, 10, tzinfo=UTC)
SOURCE = "assistants"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "</title></style><svg onload=alert(3)>",
    "\"' onmouseover=alert(4) x='",
    "javascript:alert(5)",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egpj.exe\u2066\x1b[31m\x00\x07",
    "../..",
    "..",
    "a/b?c#d",
    "<b>" * 3_400,
    "]]><!--",
)


def fill(url: str, texts: tuple[str, ...] = HOSTILE) -> list[str]:
    """Records three runs for each text, which fails, waits or ends; returns the ids."""
    appends, ids = [], []
    for number, text in enumerate(texts):
        for kind in range(3):
            run_id = f"{text}{number}{kind}" if kind else text
            ids.append(run_id)
            events = _list_events(run_id, text, kind, NOW - timedelta(hours=3 + number))
            appends.append(Append(run_stream(SOURCE, run_id.replace("\x00", "")), 0, events))
    with closing(open_event_store(url)) as store, Views(url, store=store) as views:
        views.upgrade()
        store.append(appends)
        views.catch_up()
    return ids


def _list_events(run_id: str, text: str, kind: int, birth: datetime) -> list[e.Event]:
    text = text.replace("\x00", "")

    def at(seconds: float) -> datetime:
        return birth + timedelta(seconds=seconds)

    events: list[e.Event] = [
        e.RunCreated(
            observed_at=at(0.5),
            occurred_at=birth,
            source=SOURCE,
            run_id=run_id.replace("\x00", ""),
            status=text,
            thread_id=text,
            assistant_id=text,
            model=text,
            service_tier=text,
            metadata={text: text, "list": [text]},
            expires_at=at(600),
        ),
        e.RunStatusChanged(observed_at=at(2), previous=text, status="in_progress"),
        e.RunActionRequired(
            observed_at=at(4),
            previous=text,
            tool_calls=(ToolCall(id=text or "1", name=text, arguments=text, type=text),),
        ),
    ]
    if kind == 0:
        return events
    usage = Usage(prompt_tokens=10, completion_tokens=2, total_tokens=12)
    error = RunError(code=text, message=text)
    end: e.RunEnded = e.RunFailed(observed_at=at(9), previous=text, error=error, usage=usage)
    if kind == 2:
        end = e.RunIncomplete(observed_at=at(9), previous=text, reason=text, usage=usage)
    events += [
        e.RunStatusChanged(observed_at=at(7), previous="requires_action", status=text),
        end,
        e.RunStepRecorded(
            observed_at=at(10),
            step_id=text or "s",
            type=text,
            status=text,
            tools=(text,),
            created_at=at(3),
            ended_at=at(8),
            error=error,
        ),
        e.RunMetadataChanged(observed_at=at(11), previous={}, metadata={text: text}),
        e.RunAnomalyObserved(observed_at=at(12), kind=text, status=text, known_status=text),
    ]
    return events
