"""`runfold runs`, and times on the command line."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import tracker
from projections.queries.moments import parse_moment
from tests.support.command_line import run_body, runfold, write_lines
from tracker.errors import SettingsError

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs")
    bodies = [
        run_body(
            f"run_{number}",
            created_at=1_750_000_000 + number,
            metadata={"customer": "ann" if number % 2 else "bob"},
        )
        for number in range(6)
    ]
    url = f"sqlite:///{folder}/runs.db"
    assert runfold("import", write_lines(folder / "runs.jsonl", *bodies), "--db", url).code == 0
    return url


@pytest.mark.integration
def test_runs_are_listed_page_by_page(database: str) -> None:
    first = runfold("runs", "--limit", 4, "--json", "--db", database)
    assert [it["run_id"] for it in first.document] == ["run_5", "run_4", "run_3", "run_2"]
    cursor = first.err.split()[-1]
    rest = runfold("runs", "--limit", 4, "--cursor", cursor, "--json", "--db", database)
    assert [it["run_id"] for it in rest.document] == ["run_1", "run_0"]
    assert rest.err == ""


@pytest.mark.integration
def test_runs_are_filtered_and_ordered(database: str) -> None:
    shown = runfold("runs", "--metadata", "customer=ann", "--order", "oldest", "--db", database)
    assert [it for it in shown.out.split() if it.startswith("run_")] == ["run_1", "run_3", "run_5"]
    assert runfold("runs", "--status", "failed", "--db", database).out == "runs: none\n"
    wrong = runfold("runs", "--order", "fastest", "--db", database)
    assert (wrong.code, "newest, oldest" in wrong.err) == (2, True)
    assert runfold("runs", "--metadata", "customer", "--db", database).code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h", NOW - timedelta(hours=1)),
        ("90min", NOW - timedelta(minutes=90)),
        ("2d", datetime(2026, 3, 27, 23, tzinfo=UTC)),
        # The day on which clocks change begins at 23:00 UTC.
        ("today", datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 27, 23, tzinfo=UTC)),
        ("2026-03-30", datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("2026-03-30T12:00", datetime(2026, 3, 30, 10, tzinfo=UTC)),
        ("2026-03-30T12:00+05:30", datetime(2026, 3, 30, 6, 30, tzinfo=UTC)),
    ],
)
def test_times_are_in_the_zone(text: str, expected: datetime) -> None:
    assert parse_moment(text, BERLIN, NOW) == expected


@pytest.mark.integration
def test_a_range_is_in_the_zone_of_the_command(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The runs began at 15:06 UTC, which is the next day in Tokyo.
    def count(*options: str) -> int:
        return len(runfold("runs", "--since", "2025-06-16", "--json", *options).document)

    monkeypatch.setenv("RUNFOLD_DB", database)
    assert (count(), count("--tz", "Asia/Tokyo")) == (0, 6)
    monkeypatch.setenv("RUNFOLD_TZ", "Asia/Tokyo")
    assert (count(), count("--tz", "UTC")) == (6, 0)
    shown = runfold("runs", "--limit", 1).out
    assert "created at (JST)" in shown
    assert "16 Jun 2025 00:06" in shown


@pytest.mark.integration
def test_runs_as_csv(database: str) -> None:
    shown = runfold("runs", "--csv", "--db", database)
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [it["run_id"] for it in rows] == [f"run_{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert json.loads(rows[0]["metadata"]) == {"customer": "ann"}
    assert rows[0]["created_at"] == "2025-06-15T15:06:45+00:00"
    assert rows[0]["error_code"] == ""
    for question in ("status", "timing", "usage", "cost", "actions", "stuck"):
        assert runfold(question, "--csv", "--db", database).code == 0
    assert runfold("runs", "--csv", "--json", "--db", database).code == 2


@pytest.mark.parametrize("text", ["", "someday", "1", "h", "-1h", "999999w", "2026-13-01"])
def test_a_text_that_is_no_time(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_moment(text, BERLIN, NOW)


def test_the_version_is_told(tmp_path: Path) -> None:
    assert runfold("--version").out == f"runfold {tracker.__version__}\n"
