"""Times that no document tells stay unknown, and looks that change nothing bound those that do."""

import json
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import runfold, write_lines
from tests.support.odd_documents import check_import, read_cases

pytestmark = pytest.mark.integration

UNIX = 1767261600


@pytest.mark.parametrize(
    "case", read_cases("import", "time_unknown"), ids=lambda case: str(case["name"])
)
def test_an_odd_document(case: dict[str, Any], tmp_path: Path) -> None:
    check_import(case, f"sqlite:///{tmp_path}/runs.db", tmp_path)


def run(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "run_1", "object": "thread.run", "status": status, "created_at": UNIX, **more}


def look(second: float, body: dict[str, Any], asked: float | None = None, **more: Any) -> str:
    moments = {"observed_at": UNIX + second}
    if asked is not None:
        moments["asked_at"] = UNIX + asked
    return json.dumps({**moments, "body": body, **more})


def queued_bounds(url: str) -> tuple[float | None, float | None]:
    with Views(url) as views:
        phase = views.phases("run_1")[0]
    return phase.at_least_seconds, phase.at_most_seconds


WORKING = run("in_progress", started_at=UNIX + 9)
# The look before the start was asked for at 8.2, and that with it was here at 9.3.
EXACT = [
    look(0.3, run("queued"), 0.1, call="create"),
    look(5.0, run("queued"), 4.8),
    look(8.4, run("queued"), 8.2),
    look(9.3, WORKING, 9.1),
]
ARRIVALS = [
    look(second, json.loads(line)["body"])
    for second, line in zip((0.3, 5.0, 8.4, 9.3), EXACT, strict=True)
]


def test_looks_that_change_nothing_bound_a_change(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    assert runfold("import", write_lines(tmp_path / "a.jsonl", *EXACT), "--db", url).code == 0
    least, most = queued_bounds(url)
    assert least == pytest.approx(8.2 - 0.3, abs=0.01)
    assert most == pytest.approx(9.3 - 0.1, abs=0.01)


def test_a_look_was_asked_for_after_the_answer_before_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    assert runfold("import", write_lines(tmp_path / "a.jsonl", *ARRIVALS), "--db", url).code == 0
    least, most = queued_bounds(url)
    assert least == pytest.approx(5.0 - 0.3, abs=0.01)
    assert most == pytest.approx(9.999999, abs=0.01)


def test_looks_count_across_batches(tmp_path: Path) -> None:
    others = [
        run("completed", id=f"run_f{number}", completed_at=UNIX + 1) for number in range(2100)
    ]
    url = f"sqlite:///{tmp_path}/runs.db"
    file = write_lines(tmp_path / "a.jsonl", *EXACT[:3], *others, EXACT[3])
    assert runfold("import", file, "--db", url).code == 0
    assert queued_bounds(url)[0] == pytest.approx(8.2 - 0.3, abs=0.01)


def test_the_day_of_an_import_changes_nothing(tmp_path: Path) -> None:
    end = run("completed", started_at=UNIX + 9, completed_at=UNIX + 20, tools=[])
    lines = [{**WORKING, "tools": []}, end]
    rows = []
    for number, parts in enumerate(([lines], [lines[:1], lines[1:]])):
        url = f"sqlite:///{tmp_path}/runs_{number}.db"
        for place, part in enumerate(parts):
            file = write_lines(tmp_path / f"{number}_{place}.jsonl", *part)
            assert runfold("import", file, "--db", url).code == 0
        with Views(url) as views:
            row = views.run("run_1")
        rows.append([getattr(row, f"{it}_seconds") for it in ("queued", "running", "total")])
    assert rows[0] == rows[1] == [9, 11, 20]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"asked_at": UNIX}, "asked_at: without observed_at"),
        ({"asked_at": UNIX + 2, "observed_at": UNIX + 1}, "asked_at: after observed_at"),
        ({"asked_at": "noon", "observed_at": UNIX + 1}, "asked_at: 'noon' is not a time"),
        ({"observed_at": UNIX + 1, "call": "submit"}, 'call: "create" for the answer'),
    ],
)
def test_what_a_line_says_wrong_of_its_look(
    tmp_path: Path, more: dict[str, Any], problem: str
) -> None:
    file = write_lines(tmp_path / "a.jsonl", {**more, "body": run("queued")})
    done = runfold("import", file, "--db", f"sqlite:///{tmp_path}/runs.db")
    assert problem in done.err
