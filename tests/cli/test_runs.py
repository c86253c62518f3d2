"""`runfold runs`, and times on the command line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import tracker
from tests.support.command_line import run_body, runfold, write_lines
from tracker.cli.options import read_moment

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
        ("2d", NOW - timedelta(days=2)),
        # The day on which clocks change begins at 23:00 UTC.
        ("today", datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 27, 23, tzinfo=UTC)),
        ("2026-03-30", datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("2026-03-30T12:00", datetime(2026, 3, 30, 10, tzinfo=UTC)),
        ("2026-03-30T12:00+05:30", datetime(2026, 3, 30, 6, 30, tzinfo=UTC)),
    ],
)
def test_times_are_in_the_zone(text: str, expected: datetime) -> None:
    assert read_moment(text, BERLIN, NOW) == expected


@pytest.mark.parametrize("text", ["", "someday", "1", "h", "-1h", "999999w", "2026-13-01"])
def test_a_text_that_is_no_time(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        read_moment(text, BERLIN, NOW)


def test_the_version_is_told(tmp_path: Path) -> None:
    assert runfold("--version").out == f"runfold {tracker.__version__}\n"
