"""`runfold status`, `timing`, `usage` and `history`: tables for people, JSON for machines."""

import subprocess
import sys
from pathlib import Path

import pytest

from projections.row_types import UsageRow, field_names
from tests.support.command_line import SECONDS, environment, run_body, runfold, write_lines

pytestmark = pytest.mark.integration

QUESTIONS = ("status", "timing", "usage", "cost")
TIMING_KEYS = [
    "phase",
    "runs",
    "unknown",
    "mean_seconds",
    "mean_at_least_seconds",
    "mean_at_most_seconds",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
    *(f"p{it}_{bound}_seconds" for it in (50, 95, 99) for bound in ("at_least", "at_most")),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of three runs, two days apart, one without usage."""
    folder = tmp_path_factory.mktemp("questions")
    later = 1_750_000_000 + 2 * 86_400
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    file = write_lines(
        folder / "runs.jsonl",
        run_body("run_1", "requires_action", required_action=action),
        run_body("run_1"),
        run_body("run_2", model="[bold]o4-mini[/]", assistant_id="\x1b[31masst_2", usage=None),
        run_body(
            "run_3", "in_progress", created_at=later, started_at=later + 1, expires_at=later + 600
        ),
    )
    url = f"sqlite:///{folder}/runs.db"
    assert runfold("import", file, "--db", url).code == 0
    return url


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another current folder, and no database in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)


def test_status(database: str) -> None:
    assert runfold("status", "--json", "--db", database).document == [
        {"status": "completed", "runs": 2},
        {"status": "in_progress", "runs": 1},
    ]
    shown = runfold("status", "--db", database)
    assert shown.code == 0
    assert [line.split() for line in shown.out.splitlines()[3:5]] == [
        ["completed", "2"],
        ["in_progress", "1"],
    ]
    assert shown.err == ""


def test_timing(database: str) -> None:
    rows = runfold("timing", "--json", "--db", database).document
    assert [list(row) for row in rows] == [TIMING_KEYS] * len(rows)
    by_phase = {row["phase"]: row for row in rows}
    # Another pause may lie unseen before the start.
    assert (by_phase["queued"]["runs"], by_phase["queued"]["unknown"]) == (0, 2)
    assert by_phase["total"]["mean_seconds"] == pytest.approx(12, rel=0.01)
    shown = runfold("timing", "--db", database).out.splitlines()
    assert " ".join(shown[1].split()) == "phase runs unknown mean p50 p95"
    assert any(line.split()[:3] == ["total", "2", "0"] and "12" in line for line in shown)
    assert "4 of 7 durations are unknown" in shown[-1]
    assert not any("±" in line or " 0.00" in line for line in shown)


def test_cost(database: str) -> None:
    [silent, row] = runfold("cost", "--json", "--db", database).document
    assert (silent["model"], silent["runs_without_usage"]) == ("[bold]o4-mini[/]", 1)
    assert silent["total_dollars"] is None
    # Amounts of money are strings, so that every reader keeps them exact.
    assert row["total_dollars"] == f"{float(row['total_dollars']):.9f}" != "0.000000000"
    assert row["price_versions"][0].startswith("0.")
    lines = runfold("cost", "--db", database).out.splitlines()
    assert lines[0].startswith("dollars by model, price version 0.")
    assert " ".join(lines[1].split()) == "model runs no usage unpriced input $ output $ total $"
    assert runfold("cost", "--unpriced", "--json", "--db", database).document == []


def test_models_without_a_price_are_named(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "runs.jsonl", run_body("run_1", model="our-deployment"))
    url = f"sqlite:///{tmp_path}/unpriced.db"
    assert runfold("import", file, "--db", url).code == 0
    [row] = runfold("cost", "--unpriced", "--json", "--db", url).document
    assert row == {
        "source": "assistants",
        "model": "our-deployment",
        "runs": 1,
        "service_tier": None,
    }
    shown = runfold("cost", "--by", "day", "--db", url).out
    assert "runs of models without a price" in shown
    assert "our-deployment" in shown


def test_usage(database: str) -> None:
    rows = runfold("usage", "--json", "--db", database).document
    counts = [name for name in field_names(UsageRow) if name != "group"]
    assert [list(row) for row in rows] == [["model", *counts]] * 2
    by_model = {row["model"]: row for row in rows}
    assert by_model["gpt-4o"]["total_tokens"] == 42
    assert by_model["[bold]o4-mini[/]"]["total_tokens"] is None
    shown = runfold("usage", "--db", database).out
    assert "no usage" in shown
    assert "_tokens" not in shown


@pytest.mark.parametrize("question", QUESTIONS)
def test_control_characters_and_markup_are_escaped(database: str, question: str) -> None:
    shown = runfold(question, "--by", "model,assistant_id", "--db", database)
    assert shown.code == 0
    assert "[bold]o4-mini[/]" in shown.out
    assert r"\x1b[31masst_2" in shown.out


@pytest.mark.parametrize("question", QUESTIONS)
def test_groups(database: str, question: str) -> None:
    rows = runfold(question, "--by", " source , model", "--json", "--db", database).document
    assert {row["source"] for row in rows} == {"assistants"}
    assert {row["model"] for row in rows} == {"gpt-4o", "[bold]o4-mini[/]"}


def test_days_and_hours_are_those_of_a_time_zone(database: str) -> None:
    days = runfold("usage", "--by", "day", "--tz", "Asia/Tokyo", "--json", "--db", database)
    assert [row["day"] for row in days.document] == ["2025-06-16"]
    hours = runfold("usage", "--by", "hour", "--tz", "Asia/Tokyo", "--json", "--db", database)
    assert hours.document[0]["hour"] == "2025-06-16T00:00:00+09:00"
    shown = runfold("usage", "--by", "hour", "--tz", "Asia/Tokyo", "--db", database)
    assert "hour (JST)" in shown.out
    assert "16 Jun 2025 00:00" in shown.out


@pytest.mark.parametrize("question", QUESTIONS)
def test_only_some_days(database: str, question: str) -> None:
    def rows(*limits: str) -> int:
        return len(runfold(question, *limits, "--json", "--db", database).document)

    assert rows("--since", "2025-06-16") < rows()
    assert rows("--since", "2030-01-01") == 0
    assert rows("--until", "2025-06-01T00:00:00") == 0
    nothing = runfold(question, "--since", "2030-01-01", "--db", database)
    assert nothing.code == 0
    assert nothing.out.rstrip().endswith(": none")


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_unknown_column_is_rejected_with_a_list(database: str, question: str) -> None:
    refused = runfold(question, "--by", "colour", "--db", database)
    assert refused.code == 2
    assert refused.message.startswith(
        "'colour' is not something to group by: source, assistant_id,"
    )
    assert "day, hour, metadata.KEY" in refused.message


def test_an_unknown_time_zone(database: str) -> None:
    refused = runfold("usage", "--tz", "Mars/Base", "--db", database)
    assert refused.code == 2
    assert refused.message.startswith("no time zone 'Mars/Base': use a name like Europe/Berlin")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_since_that_is_no_time(database: str, question: str) -> None:
    refused = runfold(question, "--since", "someday", "--db", database)
    assert refused.code == 2
    assert "--since" in refused.err


def test_history(database: str) -> None:
    events = runfold("history", "run_1", "--json", "--db", database).document
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        assert {"position", "version", "topic", "observed_at"} <= event.keys()
    shown = runfold("history", "run_1", "--db", database)
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0] == "assistants:run_1, thread thread_1"
    assert lines[1] == "completed, asst_1, gpt-4o, 2025-06-15 UTC"
    for name in ("RunCreated", "RunActionRequired", "f({})", "RunCompleted", "█"):
        assert name in shown.out


def test_the_history_of_a_run_that_is_not_there(database: str) -> None:
    refused = runfold("history", "run_9", "--db", database)
    assert refused.code == 1
    assert "run_9" in refused.message


@pytest.mark.skipif(sys.platform == "win32", reason="uses a pipe of a POSIX shell")
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_pipe_that_closes_early(database: str, form: str) -> None:
    done = subprocess.run(
        f'"{sys.executable}" -m tracker.cli history run_1 {form} --db "{database}" | head -c 1',
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert len(done.stdout) == 1
    assert done.stderr == ""


@pytest.mark.parametrize("question", QUESTIONS)
def test_eighty_columns_hold_a_table(database: str, question: str) -> None:
    lines = runfold(question, "--db", database).out.splitlines()
    assert max(map(len, lines)) <= 80


def test_a_pipe_gets_each_row_on_one_line(database: str) -> None:
    by = "source,thread_id,assistant_id,model,status,outcome"
    lines = runfold("usage", "--by", by, "--db", database).out.splitlines()
    assert len(lines) == 6
    assert "thread_1" in lines[3]
    assert "output" in lines[1]


def test_actions(database: str) -> None:
    [action] = runfold("actions", "--json", "--db", database).document
    assert (action["run_key"], action["tool_call_id"]) == ("assistants:run_1", "call_1")
    assert action["resolved_at"] is not None
    assert runfold("actions", "run_1", "--json", "--db", database).document == [action]
    assert runfold("actions", "--waiting", "--json", "--db", database).document == []
    shown = runfold("actions", "--db", database)
    assert shown.code == 0
    assert "assistants:run_1" in shown.out
    unknown = runfold("actions", "run_of_nobody", "--db", database)
    assert unknown.code == 1
    assert "run_of_nobody" in unknown.message
