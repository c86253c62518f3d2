"""Events of the streams that report the progress of a run or a response."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tracker.core.status import CANCELLED, COMPLETED, IN_PROGRESS, REQUIRES_ACTION, is_ended
from tracker.simulator.api.payloads import Version, reply_body, run_body, step_body
from tracker.simulator.api.responses import list_output_items, response_body
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.run_life import Life, Step


class StreamEvent(NamedTuple):
    """An event of a stream, sent at `at` (unix seconds)."""

    at: float
    name: str
    data: Any

    @property
    def text(self) -> str:
        """The event in the format of server-sent events."""
        data = self.data if isinstance(self.data, str) else json.dumps(self.data)
        return f"event: {self.name}\ndata: {data}\n\n"


def run_events(
    run: RunRecord, life: Life, since: float, version: Version = "v2"
) -> list[StreamEvent]:
    """Returns the events from `since` until the run ends or requires action, then `done`.

    There is no `done` while no such end is planned. Later changes of the run never change events
    that are due already.
    """
    planned: list[StreamEvent] = []
    for number, (status, at, _) in enumerate(_transitions(life)):
        body = run_body(run, life, at, version)
        if number == 0:
            planned.append(StreamEvent(at, "thread.run.created", body))
        planned.append(StreamEvent(at, f"thread.run.{status}", body))
    for step in life.steps:
        planned += _step_events(run, life, step)
    events = [each for each in sorted(planned, key=lambda each: each.at) if each.at >= since]
    stops = [
        place
        for place, each in enumerate(events)
        if each.name == f"thread.run.{REQUIRES_ACTION}"
        or (each.name.count(".") == 2 and is_ended(each.name.rpartition(".")[2]))
    ]
    if not stops:
        return events
    at = events[stops[0]].at
    # Events of steps come before the event of the run at the same time.
    of_steps = [
        each
        for each in events[stops[0] + 1 :]
        if each.at == at and each.name.startswith(("thread.run.step.", "thread.message."))
    ]
    done = StreamEvent(at, "done", "[DONE]")
    return [*events[: stops[0]], *of_steps, events[stops[0]], done]


def response_events(record: RunRecord, life: Life) -> list[StreamEvent]:
    """Returns the events of a response; a cancelled one has no final event."""
    events: list[StreamEvent] = []

    def add(at: float, kind: str, **more: Any) -> None:
        events.append(StreamEvent(at, kind, {"type": kind, **more}))

    last = None
    for number, (status, at, _) in enumerate(_transitions(life)):
        body = response_body(record, life, at)
        if number == 0:
            add(at, "response.created", response=body)
        if not is_ended(status):
            add(at, f"response.{status}", response=body)
        elif status != CANCELLED:
            last = (at, f"response.{status}", body)
    place = 0
    for step in life.steps:
        for item in list_output_items(record, step) if step.status == COMPLETED else ():
            _add_item(add, step, place, item)
            place += 1
    events.sort(key=lambda each: each.at)
    if last is not None:
        at, kind, body = last
        events = [each for each in events if each.at <= at]
        add(at, kind, response=body)
    return [
        each._replace(data={**each.data, "sequence_number": number})
        for number, each in enumerate(events)
    ]


def _transitions(life: Life) -> Iterator[tuple[str, float, int]]:
    return ((each.status, each.at, each.lap) for each in life.transitions)


def _step_events(run: RunRecord, life: Life, step: Step) -> Iterator[StreamEvent]:
    open_step = step_body(run, life, step, min(step.created_at, step.ended_at - 1e-6))
    yield StreamEvent(step.created_at, "thread.run.step.created", open_step)
    yield StreamEvent(step.created_at, f"thread.run.step.{IN_PROGRESS}", open_step)
    if step.planned.message_id is not None:
        message = {**reply_body(run, step), "status": IN_PROGRESS}
        yield StreamEvent(step.created_at, "thread.message.created", {**message, "content": []})
        for word in message["content"][0]["text"]["value"].split(" "):
            content = {"index": 0, "type": "text", "text": {"value": f"{word} ", "annotations": []}}
            delta = {"id": message["id"], "object": "thread.message.delta"}
            yield StreamEvent(
                step.created_at, "thread.message.delta", {**delta, "delta": {"content": [content]}}
            )
        if step.status == COMPLETED:
            completed = {**message, "status": COMPLETED}
            yield StreamEvent(step.ended_at, "thread.message.completed", completed)
    if step.ended_at != float("inf"):
        ended = step_body(run, life, step, step.ended_at)
        yield StreamEvent(step.ended_at, f"thread.run.step.{step.status}", ended)


def _add_item(add: Any, step: Step, place: int, item: dict[str, Any]) -> None:
    at, index = step.ended_at, {"output_index": place}
    open_item = {**item, "status": IN_PROGRESS}
    if item["type"] != "message":
        add(at, "response.output_item.added", item=open_item, **index)
    else:
        add(at, "response.output_item.added", item={**open_item, "content": []}, **index)
        [part] = item["content"]
        of_part = {"item_id": item["id"], "content_index": 0, **index}
        add(at, "response.content_part.added", part={**part, "text": ""}, **of_part)
        for word in part["text"].split(" "):
            add(at, "response.output_text.delta", delta=f"{word} ", logprobs=[], **of_part)
        add(at, "response.output_text.done", text=part["text"], logprobs=[], **of_part)
        add(at, "response.content_part.done", part=part, **of_part)
    add(at, "response.output_item.done", item=item, **index)
