"""Odd documents with their right answers, if they lie beside the project."""

import json
import random
import string
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import Finished, run_body, runfold, write_lines
from tests.support.paths import ROOT

FILE = ROOT.parent / "shared" / "cases" / "documents.jsonl"
# Not columns of `runs`.
_OTHER = {"actions", "overdue", "phase_sum_is_total"}


def read_cases(door: str, *kinds: str) -> list[dict[str, Any]]:
    """Returns the cases of a door and of some kinds; none without the file."""
    if not FILE.is_file():
        return []
    cases = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    return [it for it in cases if it["door"] == door and it["kind"] in kinds]


def make_input(case: Mapping[str, Any]) -> Any:
    """Returns what is handed in."""
    if "input" in case:
        return case["input"]
    names = {"json": json, "random": random, "string": string, "time": time}
    return eval(case["make"], names)


def nest(levels: int) -> dict[str, Any]:
    """Returns an object that is nested so many levels deep."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    assert isinstance(value, dict)
    return value


def good_runs() -> list[dict[str, Any]]:
    """Returns three runs with nothing odd about them."""
    return [run_body(f"run_good_{number}") for number in range(3)]


def check_good_runs(url: str) -> None:
    """Checks the rows of the good runs, and that each command answers."""
    for command in (["catch-up"], ["verify"], ["doctor"], ["status"], ["usage", "--by", "day"]):
        done = runfold(*command, "--db", url)
        assert done.code == 0, (command, done.out, done.err)
    with Views(url) as views:
        for body in good_runs():
            row = views.run(body["id"])
            assert (row.status, row.total_tokens, row.total_seconds) == ("completed", 42, 12.0)


def import_beside_good_runs(url: str, folder: Path, *lines: object) -> Finished:
    """Imports lines between good runs, twice; returns the first result."""
    first, *others = good_runs()
    file = write_lines(folder / "runs.jsonl", first, *lines, *others)
    report = runfold("import", file, "--db", url)
    again = runfold("import", file, "--db", url)
    assert "0 new events" in again.out, again.out
    check_good_runs(url)
    return report


def check_import(case: Mapping[str, Any], url: str, folder: Path) -> None:
    """Imports a case beside good runs, and compares its rows with the right answer."""
    expected = case["expect"]
    lines = make_input(case)
    report = import_beside_good_runs(url, folder, *([lines] if isinstance(lines, str) else lines))
    said = f"{report.out}{report.err}"
    exits = expected.get("import_exit", 0)
    allowed = list(exits) if isinstance(exits, list) else [exits]
    if expected.get("may_be_refused"):
        allowed.append(1)
    assert report.code in allowed, said
    with Views(url) as views:
        good = {body["id"] for body in good_runs()}
        found = {row.run_id: row for row in views.runs(limit=None) if row.run_id not in good}
        if report.code and expected.get("may_be_refused"):
            return
        kept = expected.get("kept_or_named")
        if kept is not None:
            rows = kept["rows"] if isinstance(kept, dict) else kept
            assert report.err.count("runs.jsonl:") >= rows - len(found), said
        else:
            counts = expected.get("new_runs", 1)
            assert len(found) in (counts if isinstance(counts, list) else [counts]), said
        runs = expected.get("runs", {})
        if "run" in expected:
            [run_id] = found
            runs = {run_id: expected["run"]}
        for run_id, values in runs.items():
            assert find_differences(found[run_id], values) == {}
            if "actions" in values:
                assert len(views.actions(run_id)) == values["actions"]
            if "overdue" in values:
                overdue = [row for row in views.stuck() if row.run_id == run_id]
                assert len(overdue) == values["overdue"]
            if "phase_sum_is_total" in values:
                seconds = sum(row.seconds for row in views.phases(run_id))
                assert seconds == pytest.approx(found[run_id].total_seconds)


def find_differences(row: Any, expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the columns of a row that are not as expected, with both values."""
    columns = {name: value for name, value in expected.items() if name not in _OTHER}
    found = {name: getattr(row, name) for name in columns}
    return {
        name: (found[name], value)
        for name, value in columns.items()
        if not fits(found[name], value)
    }


def fits(found: Any, expected: Any) -> bool:
    """Returns True if a value is as expected: equal, or of the constraint that is described."""
    if isinstance(expected, dict):
        if "one_of" in expected:
            return any(fits(found, value) for value in expected["one_of"])
        if "not" in expected:
            return not fits(found, expected["not"])
        if "contains" in expected:
            return found is not None and expected["contains"] in found
        if "min" in expected or "max" in expected:
            lowest, highest = (_like(found, expected.get(it)) for it in ("min", "max"))
            return (
                found is not None
                and (lowest is None or found >= lowest)
                and (highest is None or found <= highest)
            )
    return bool(found == _like(found, expected))


def _like(found: Any, expected: Any) -> Any:
    if isinstance(found, datetime) and isinstance(expected, str):
        return datetime.fromisoformat(expected)
    return expected
