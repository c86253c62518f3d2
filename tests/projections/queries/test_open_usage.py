"""The tokens of runs that have not ended, said beside the sums of those that have."""

import json
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import runfold, write_lines
from tests.support.run_builder import values_of

pytestmark = pytest.mark.integration

CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}


def response(number: int, tokens: int, *output: Any, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": tokens - 1, "output_tokens": 1, "total_tokens": tokens}
    return {
        "id": f"resp_{number}",
        "object": "response",
        "status": "completed",
        "created_at": 1_767_261_600 + 86_400 * number,
        "completed_at": 1_767_261_610 + 86_400 * number,
        "model": "gpt-5",
        "output": list(output),
        "usage": usage,
        **more,
    }


def test_tokens_of_responses_that_nobody_answers(database_url: str, tmp_path: Path) -> None:
    lines = (
        response(1, 680, CALL),
        response(2, 500, CALL),
        response(3, 400, previous_response_id="resp_2"),
        response(4, 120, CALL, store=False),
        response(5, 70, status="in_progress", completed_at=None, usage=None),
    )
    file = write_lines(tmp_path / "runs.jsonl", *lines)
    assert runfold("import", file, "--db", database_url).code == 0
    said = "not included: 680 tokens of 1 run that has not ended; "
    for command in (["usage"], ["usage", "--json"], ["cost"]):
        done = runfold(*command, "--db", database_url)
        assert done.code == 0
        assert done.err.startswith(said)
    usage = json.loads(runfold("usage", "--json", "--db", database_url).out)
    assert [row["total_tokens"] for row in usage] == [1020]
    with Views(database_url) as views:
        assert values_of(views.open_usage()) == (1, 679, 1, 680)
        assert views.run("resp_4").outcome == "completed"
        assert views.run("resp_1").created_at is not None
        later = views.run("resp_2").created_at
        assert values_of(views.open_usage(since=later)) == (0, 0, 0, 0)
        assert views.open_usage(until=later).total_tokens == 680
    done = runfold("usage", "--since", "2026-01-03", "--db", database_url)
    assert (done.code, done.err) == (0, "")
