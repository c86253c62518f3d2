"""One odd document says something of its own run, and nothing of any other."""

import json
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import run_body, runfold
from tests.support.odd_documents import (
    check_import,
    import_beside_good_runs,
    nest,
    read_cases,
)

pytestmark = pytest.mark.integration

KINDS = (
    "unreadable_after_accept",
    "key_too_long",
    "not_a_run",
    "whole_file",
    "half_surrogate",
    "id_collision",
    "proxy_identity",
)
CASES = [it for door in ("import", "query", "export") for it in read_cases(door, *KINDS)]
LONG_ID = "".join(chr(ord("a") + number * 7919 % 26) for number in range(3000))


def waiting(run_id: str, *call_ids: str) -> dict[str, Any]:
    calls = [
        {"id": it, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for it in call_ids
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    return run_body(run_id, "requires_action") | {"required_action": action}


@pytest.mark.parametrize("levels", [60, 70, 199, 300, 900])
@pytest.mark.parametrize("field", ["metadata", "response_format", "tools"])
def test_a_deep_field(tmp_path: Path, field: str, levels: int) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    deep: Any = nest(levels)
    line = run_body("run_1") | {field: [{"type": "function"} | deep] if field == "tools" else deep}
    report = import_beside_good_runs(url, tmp_path, line)
    assert ("unstorable" in f"{report.out}{report.err}") is (levels > 64)
    with Views(url) as views:
        assert (views.run("run_1").status, views.run("run_1").total_tokens) == ("completed", 42)


def test_a_deep_field_on_both_databases(database_url: str, tmp_path: Path) -> None:
    line = run_body("run_1") | {"metadata": nest(199), "response_format": nest(199)}
    import_beside_good_runs(database_url, tmp_path, line)
    with Views(database_url) as views:
        assert views.run("run_1").total_tokens == 42
    exported = tmp_path / "events.jsonl"
    assert runfold("export", exported, "--events", "--db", database_url).code == 0
    copied = runfold("import", exported, "--db", f"sqlite:///{tmp_path}/second.db")
    assert (copied.code, copied.err) == (0, "")


def test_numbers_that_json_does_not_keep(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    line = json.dumps(run_body("run_1") | {"metadata": {"a": "A", "b": "B", "c": 1}})
    line = line.replace('"A"', "NaN").replace('"B"', "9" * 5001)
    import_beside_good_runs(url, tmp_path, line)
    with Views(url) as views:
        assert views.run("run_1").metadata == {"a": None, "b": None, "c": 1}


def test_long_tool_call_ids_stay_two(database_url: str, tmp_path: Path) -> None:
    ids = (f"{LONG_ID}1", f"{LONG_ID}2")
    import_beside_good_runs(database_url, tmp_path, waiting("run_1", *ids))
    with Views(database_url) as views:
        stored = [it.tool_call_id for it in views.actions("run_1")]
        assert len(set(stored)) == 2
        assert all(len(it.encode()) <= 512 and it.startswith(LONG_ID[:400]) for it in stored)


def test_long_names_in_each_key(database_url: str, tmp_path: Path) -> None:
    name = "\U0001f680" * 255
    bodies = [
        run_body(f"run_{it}") | {"assistant_id": name + it, "model": name + it} for it in "ab"
    ]
    lines = [{"source": f"{name}s", "body": body} for body in bodies]
    import_beside_good_runs(database_url, tmp_path, *lines)
    with Views(database_url) as views:
        rows = [row for row in views.usage(by="model") if name[:100] in str(row)]
        assert [row.total_tokens for row in rows] == [42, 42]


@pytest.mark.parametrize("length", [256, 600])
def test_forgetting_one_of_two_threads_with_one_beginning(
    database_url: str, tmp_path: Path, length: int
) -> None:
    threads = {f"run_{letter}": "x" * length + letter for letter in "ab"}
    bodies = [run_body(run_id, thread_id=thread) for run_id, thread in threads.items()]
    import_beside_good_runs(database_url, tmp_path, *bodies)
    assert runfold("forget", threads["run_a"], "--yes", "--db", database_url).code == 0
    with Views(database_url) as views:
        assert views.run("run_b").total_tokens == 42
        assert "run_a" not in {row.run_id for row in views.runs(limit=None)}


@pytest.mark.skipif(not CASES, reason="the odd documents are not beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_odd_document(case: dict[str, Any], database_url: str, tmp_path: Path) -> None:
    check_import(case, database_url, tmp_path)
