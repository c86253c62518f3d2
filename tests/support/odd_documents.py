"""Odd documents with their right answers, if they lie beside the project."""

import json
import random
import string
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.support.command_line import run_body
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


def find_differences(row: Any, expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the columns of a row that are not as expected, with both values."""
    columns = {name: value for name, value in expected.items() if name not in _OTHER}
    found = {name: getattr(row, name) for name in columns}
    return {
        name: (found[name], value)
        for name, value in columns.items()
        if not _fits(found[name], value)
    }


def _fits(found: Any, expected: Any) -> bool:
    if isinstance(found, datetime):
        expected = datetime.fromisoformat(expected)
    return bool(found == expected)
