"""A small file of snapshots that manuals import: five runs, each with a reason to be there."""

import json
from pathlib import Path
from typing import Any

BIRTH = 1_750_000_000
_ACTION = {
    "type": "submit_tool_outputs",
    "submit_tool_outputs": {
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "find_order", "arguments": '{"order": 17}'},
            }
        ]
    },
}


def write_runs(file: Path) -> Path:
    """Writes the snapshots line by line, as `runfold import` reads them."""
    lines = [*_run_with_pause(), *_open_run(), *_simple_run(), *_broken_run(), *_peculiar_run()]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return file


def _run_with_pause() -> list[dict[str, Any]]:
    """Returns a run that waited for tool outputs and continued."""
    first, second = BIRTH + 1, BIRTH + 9
    tokens = {"prompt_tokens": 900, "completion_tokens": 120, "total_tokens": 1020}
    waiting = {"started_at": first, "required_action": _ACTION}
    return [
        _line(0.4, "run_1", "queued"),
        _line(0.9, "run_1", "queued"),
        _line(1.5, "run_1", "in_progress", started_at=first),
        _line(4.6, "run_1", "in_progress", started_at=first),
        _line(5.2, "run_1", "requires_action", **waiting),
        _line(7.8, "run_1", "requires_action", **waiting),
        _line(8.4, "run_1", "queued", started_at=first),
        _line(9.1, "run_1", "in_progress", started_at=second),
        _line(11.7, "run_1", "in_progress", started_at=second),
        _line(
            12.3,
            "run_1",
            "completed",
            started_at=second,
            completed_at=BIRTH + 12,
            expires_at=None,
            usage=tokens,
        ),
    ]


def _open_run() -> list[dict[str, Any]]:
    """Returns a run that still waits for tool outputs."""
    started = BIRTH + 2
    return [
        _line(2.0, "run_2", "in_progress", started_at=started, model="o4-mini"),
        _line(29.5, "run_2", "in_progress", started_at=started, model="o4-mini"),
        _line(
            30.0,
            "run_2",
            "requires_action",
            started_at=started,
            model="o4-mini",
            required_action=_ACTION,
        ),
    ]


def _simple_run() -> list[dict[str, Any]]:
    """Returns a run without a pause, for a customer."""
    started, ann = BIRTH + 1, {"customer": "ann"}
    tokens = {"prompt_tokens": 400, "completion_tokens": 80, "total_tokens": 480}
    return [
        _line(1.0, "run_3", "in_progress", started_at=started, metadata=ann),
        _line(
            6.0,
            "run_3",
            "completed",
            started_at=started,
            completed_at=BIRTH + 6,
            usage=tokens,
            metadata=ann,
        ),
    ]


def _broken_run() -> list[dict[str, Any]]:
    """Returns a run that failed."""
    error = {"code": "rate_limit_exceeded", "message": "Too many requests."}
    return [
        _line(
            9.0,
            "run_4",
            "failed",
            started_at=BIRTH + 2,
            failed_at=BIRTH + 8,
            last_error=error,
            model="o4-mini",
        )
    ]


def _peculiar_run() -> list[dict[str, Any]]:
    """Returns a run of a service that writes milliseconds and counts no tokens."""
    moments = {
        "created_at": BIRTH * 1000,
        "started_at": (BIRTH + 1) * 1000,
        "completed_at": (BIRTH + 4) * 1000,
    }
    return [_line(5.0, "run_5", "completed", **moments)]


def _line(after: float, run_id: str, status: str, **more: Any) -> dict[str, Any]:
    body = {
        "id": run_id,
        "object": "thread.run",
        "thread_id": run_id.replace("run", "thread"),
        "assistant_id": "asst_1",
        "model": "gpt-4o",
        "status": status,
        "created_at": BIRTH,
        "expires_at": BIRTH + 600,
        "metadata": {},
        **more,
    }
    return {"asked_at": BIRTH + after - 0.1, "observed_at": BIRTH + after, "body": body}
