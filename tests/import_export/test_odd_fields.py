"""One odd field of a run costs what it would have said, in files and in answers to polls."""

import time
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import run_body, runfold, write_lines
from tests.support.odd_documents import (
    check_import,
    find_differences,
    good_runs,
    import_beside_good_runs,
    make_input,
    read_cases,
)
from tests.support.odd_polls import check_poll, poll

pytestmark = pytest.mark.integration

KINDS = ("odd_stamp", "wrong_type_field", "non_finite_number")
IMPORTS, POLLS = read_cases("import", *KINDS), read_cases("poll", *KINDS)
QUERIES = read_cases("query", *KINDS)
WITHOUT = "the odd documents are not beside this checkout"
PATH = "GET /v1/threads/thread_1/runs/run_1"
# Fields of a run, and values that say nothing of them.
ODD: dict[str, Any] = {
    "thread_id": {"a": 1},
    "model": ["gpt-4o"],
    "expires_at": "soon",
    "cancelled_at": "0001-01-01T00:00:00Z",
    "last_error": True,
    "incomplete_details": 5,
    "required_action": "x",
    "metadata": "{}",
    "instructions": [{"text": "x"}],
    "tools": {"a": 1},
    "temperature": "default",
    "response_format": [[]],
}


def test_a_run_of_odd_fields(database_url: str, tmp_path: Path) -> None:
    lines = [run_body(f"run_{name}") | {name: value} for name, value in ODD.items()]
    import_beside_good_runs(database_url, tmp_path, *lines, run_body("run_all") | ODD)
    plain = {"status": "completed", "total_tokens": 42, "total_seconds": 12.0, "metadata": {}}
    with Views(database_url) as views:
        rows = {row.run_id: row for row in views.runs(limit=None)}
        for name in (*ODD, "all"):
            assert find_differences(rows[f"run_{name}"], plain) == {}


def test_the_peculiarities_of_odd_fields_are_reported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    report = import_beside_good_runs(url, tmp_path, run_body("run_1") | ODD)
    for name in ("thread_id", "model", "expires_at", "last_error", "metadata", "tools"):
        assert f"unreadable {name.replace('_', ' ')}" in report.out
    assert "zero stamps" in report.out


def test_a_run_without_a_creation_is_in_the_list_of_the_day_it_is_first_known(
    database_url: str, tmp_path: Path
) -> None:
    line = run_body("run_1") | {"created_at": "0001-01-01T00:00:00Z"}
    import_beside_good_runs(database_url, tmp_path, line)
    with Views(database_url) as views:
        row = views.run("run_1")
        # No later than its start, though it is imported long after.
        assert row.created_at == row.started_at
        assert row.created_at < row.first_seen_at
        assert sum(day.total_tokens or 0 for day in views.usage(by="day")) == 4 * 42


@pytest.mark.parametrize(
    "odd",
    [
        {"last_error": {"code": 500, "message": ["boom"]}},
        {"metadata": "x", "usage": {"total_tokens": "15"}, "model": 5},
        {"completed_at": "0001-01-01T00:00:00Z", "tools": "none"},
    ],
)
def test_a_polled_run_of_odd_fields_ends(tmp_path: Path, odd: dict[str, Any]) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    body = run_body("run_1", "in_progress")
    ended = run_body("run_1", "failed") | {"failed_at": 1_750_000_012} | odd
    answers = [{"asked": PATH, "status": 200, "body": it} for it in (body, ended)]
    polled = poll(url, answers)
    assert (polled.wait_returned, polled.asked_after_end, polled.troubles) == (True, 0, {})
    assert polled.events[-1].event.topic == "run.failed"


def test_one_unreadable_field_does_not_undo_what_is_known(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    body = run_body("run_1", "in_progress") | {"metadata": {"user": "ann"}}
    odd = body | {"metadata": "x", "expires_at": "0001-01-01T00:00:00Z", "served": 1}
    ended = run_body("run_1") | {"metadata": "x"}
    answers = [{"asked": PATH, "status": 200, "body": it} for it in (body, odd, odd, ended)]
    polled = poll(url, answers)
    assert [it.event.topic for it in polled.events] == [
        "run.created",
        "run.status_changed",
        "run.completed",
    ]


def test_one_odd_step_costs_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    base = {"object": "thread.run.step", "run_id": "run_1", "status": "completed"}
    steps = [
        base | {"id": "step_1", "created_at": "soon", "usage": 0, "step_details": "x"},
        base | {"id": 5},
        "step",
        base | {"id": "step_2", "completed_at": 1_750_000_012},
    ]
    answers = [
        {"asked": PATH, "status": 200, "body": run_body("run_1", "in_progress")},
        {"asked": PATH, "status": 200, "body": run_body("run_1")},
        {"asked": f"{PATH}/steps", "status": 200, "body": {"object": "list", "data": steps}},
    ]
    polled = poll(url, answers)
    assert polled.wait_returned
    recorded = {it.event.step_id for it in polled.events if hasattr(it.event, "step_id")}
    assert recorded == {"step_1", "step_2"}


@pytest.mark.skipif(not IMPORTS, reason=WITHOUT)
@pytest.mark.parametrize("case", IMPORTS, ids=lambda case: case["name"])
def test_an_imported_case(case: dict[str, Any], database_url: str, tmp_path: Path) -> None:
    for values in case["expect"].get("runs", {"": case["expect"].get("run", {})}).values():
        # The durations of a run that was first seen ended are a question of their own.
        for name in ("queued_seconds", "running_seconds"):
            if values.get(name, 0) is None and values.get("ended_at"):
                del values[name]
    check_import(case, database_url, tmp_path)
    if case["expect"].get("events_like_one_line"):
        alone = f"sqlite:///{tmp_path}/alone.db"
        file = write_lines(tmp_path / "alone.jsonl", make_input(case)[0])
        assert runfold("import", file, "--db", alone).code == 0
        assert runfold("catch-up", "--db", alone).code == 0
        with Views(database_url) as views, Views(alone) as others:
            assert views.run("run_1").version == others.run("run_1").version


@pytest.mark.skipif(not POLLS, reason=WITHOUT)
@pytest.mark.parametrize("case", POLLS, ids=lambda case: case["name"])
def test_a_polled_case(case: dict[str, Any], database_url: str, tmp_path: Path) -> None:
    check_poll(case, database_url, tmp_path)


@pytest.mark.skipif(not QUERIES, reason=WITHOUT)
@pytest.mark.parametrize("case", QUERIES, ids=lambda case: case["name"])
def test_an_asked_case(case: dict[str, Any], database_url: str, tmp_path: Path) -> None:
    check_import(case, database_url, tmp_path)
    for command in case["expect"]["ask"]:
        began = time.monotonic()
        assert runfold(*command.split(), "--db", database_url).code == 0
        assert time.monotonic() - began < 60
    good = {body["id"] for body in good_runs()}
    with Views(database_url) as views:
        [row] = [row for row in views.runs(limit=None) if row.run_id not in good]
        assert find_differences(row, case["expect"]["run"]) == {}
