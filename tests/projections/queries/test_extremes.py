"""Answers about good runs do not depend on runs at the ends of time, nor on a server's zone."""

import json
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from projections import Views
from projections.export.tables import TABLES
from tests.support.command_line import run_body, runfold, write_lines
from tests.support.extreme_runs import MOMENTS, record_extreme_runs
from tests.support.odd_documents import good_runs, read_cases
from tests.support.odd_questions import ask, check_questions
from tests.support.postgres import PostgresServer
from tracker.event_store import open_event_store

pytestmark = pytest.mark.integration

CASES = [
    *read_cases("query", "time_range", "json_by_value"),
    *read_cases("import", "json_by_value"),
]
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Tokyo", "America/St_Johns")
GOOD = datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC)

QUESTIONS = (
    *("status", "status --by day", "status --by hour,outcome --tz Asia/Tokyo"),
    *("usage --by day", "usage --by day --tz America/New_York", "usage --by day --tz Asia/Tokyo"),
    *("usage --by hour --tz Europe/Berlin", "usage --by hour --tz Pacific/Kiritimati"),
    *("usage --by day,thread_id --tz America/St_Johns", "usage --by hour,metadata.year"),
    *("usage --by day --since 0001-01-01", "usage --by day --until 9999-12-31"),
    *("usage --by model --since 9999-12-31T23:59:59", "timing --by day --tz America/New_York"),
    *("timing --by hour,thread_id --tz Asia/Tokyo", "cost --by day", "cost --by day,thread_id"),
    *("stuck", "actions", "actions --waiting"),
)


@pytest.fixture(
    params=["sqlite", ZONES[0], *(pytest.param(it, marks=pytest.mark.seeds) for it in ZONES[1:])]
)
def zoned_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on SQLite and on PostgreSQL with another time zone each."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    url: str = request.getfixturevalue("postgres_db")
    server: PostgresServer = request.getfixturevalue("postgres")
    server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET timezone = '{request.param}'")
    return url


def test_all_questions_at_the_ends_of_time(zoned_url: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "good.jsonl", *good_runs(), run_body("run_now", "in_progress"))
    assert runfold("import", file, "--db", zoned_url).code == 0
    with closing(open_event_store(zoned_url)) as store:
        count = record_extreme_runs(store)
    ask("catch-up", zoned_url)
    ask("verify", zoned_url)
    ask("doctor", zoned_url)

    for number, question in enumerate(QUESTIONS):
        if number % 2:
            ask(question, zoned_url)
        else:
            json.loads(ask(f"{question} --json", zoned_url).out)
    with Views(zoned_url) as views:
        runs = views.runs(limit=None)
        assert len(runs) == count + 4
        for run in views.runs(status="completed", source="mine"):
            ask(f"history {run.run_id} --source mine", zoned_url)
            json.loads(ask(f"history {run.run_id} --source mine --json", zoned_url).out)
        check_rows(views)
        with views.as_of(datetime.max.replace(tzinfo=UTC)) as past:
            assert past.usage(by="day", tz="Asia/Tokyo") == views.usage(by="day", tz="Asia/Tokyo")
        with views.as_of(MOMENTS[1]) as past:
            assert len(past.runs()) == 3
    check_exports(zoned_url, tmp_path)
    ask("rebuild --all", zoned_url)
    ask("verify", zoned_url)
    ask("prune --days 90", zoned_url)
    ask("verify", zoned_url)


def check_rows(views: Views) -> None:
    """Checks that days and hours are those of the runs, and that the good runs are counted."""
    created = {run.created_at for run in views.runs(outcome="completed", source="mine")}
    assert created == set(MOMENTS)
    # The three good runs of 42 tokens, and one of 15 tokens at each extreme moment.
    for zone in ("UTC", *ZONES, "Pacific/Kiritimati"):
        for by in ("day", "hour", ("day", "hour"), ("day", "thread_id"), ("day", "metadata.year")):
            rows = views.usage(by=by, tz=zone)
            assert sum(row.runs for row in rows) == len(MOMENTS) + 3
            good = [row for row in rows if row.total_tokens == 126]
            good_day = _day(GOOD, zone)
            assert [(row.runs, row.group.get("day", good_day)) for row in good] == [(3, good_day)]
        days = [row.group["day"] for row in views.usage(by="day", tz=zone)]
        assert days == sorted({_day(it, zone) for it in (*MOMENTS, GOOD)})
    assert views.usage(by="day").to_arrow().num_rows == len(set(map(datetime.date, MOMENTS))) + 1
    assert len(views.runs(limit=None).to_polars()) == len(views.runs(limit=None))
    assert views.run("run_now").status == "in_progress"


def _day(moment: datetime, zone: str) -> date:
    try:
        return moment.astimezone(ZoneInfo(zone)).date()
    except OverflowError:
        return moment.date()


def check_exports(url: str, folder: Path) -> None:
    """Checks that each table can be exported in each format."""
    for table in TABLES:
        for suffix in ("jsonl", "parquet"):
            ask(f"export {folder / table}.{suffix} --table {table}", url)
    exported = folder / "events.jsonl"
    ask(f"export {exported} --events", url)
    copy = f"sqlite:///{folder / 'copy.db'}"
    ask(f"import {exported}", copy)
    ask("verify", copy)


def test_a_pandas_column(tmp_path: Path) -> None:
    """Times on SQLite have one form, since pandas takes that of the first row for the others."""
    import sqlite3

    url = f"sqlite:///{tmp_path / 'runs.db'}"
    file = write_lines(
        tmp_path / "runs.jsonl", run_body("run_1"), run_body("run_2", created_at=1_750_000_000.25)
    )
    assert runfold("import", file, "--db", url).code == 0
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        stored = connection.execute(
            "SELECT created_at, ended_at FROM runs ORDER BY run_id"
        ).fetchall()
    assert {len(text) for row in stored for text in row} == {len("2026-01-01 10:00:00.000000")}
    assert [row[0][-7:] for row in stored] == [".000000", ".250000"]


ODD_KEYS = (
    'a"b',
    "a\\b",
    "a\nb",
    "a\\",
    '"',
    "$",
    "a.b",
    "a[0]",
    "é",
    "'",
    "a\x1fb",
    "\\u0061",
    "%s",
    ":x",
)


def test_groups_by_odd_keys(database_url: str, tmp_path: Path) -> None:
    bodies = [
        run_body("run_1", metadata=dict.fromkeys(ODD_KEYS, "x")),
        run_body("run_2", metadata={key: [key, 1] for key in ODD_KEYS}),
        run_body("run_3", metadata={}),
    ]
    assert (
        runfold("import", write_lines(tmp_path / "runs.jsonl", *bodies), "--db", database_url).code
        == 0
    )
    with Views(database_url) as views:
        for key in ODD_KEYS:
            name = f"metadata.{key}"
            expected = [json.dumps([key, 1]), "x", None]
            assert [row.group[name] for row in views.usage(by=name)] == expected
            assert {row.group[name] for row in views.timing(by=name)} == set(expected)
            assert len(views.cost(by=(name, "day"))) == 3


@pytest.mark.parametrize(
    "question",
    [
        *("prune --days 1000000", "prune --days inf", "prune --days nan", "prune --days 1e300"),
        *("usage --by metadata.\udcff", "history run\udcff", "actions \udcff"),
    ],
)
def test_questions_that_cannot_be_asked(database_url: str, tmp_path: Path, question: str) -> None:
    file = write_lines(tmp_path / "runs.jsonl", run_body("run_1"))
    assert runfold("import", file, "--db", database_url).code == 0
    done = runfold(*question.split(), "--db", database_url)
    assert done.code != 0
    assert done.err


# Values of metadata, each with the name of its group.
NUMBERS = (
    ("1", "1"),
    ("1.0", "1"),
    ("1e0", "1"),
    ("-0.0", "0"),
    ("0", "0"),
    ("1e2", "100"),
    ("100", "100"),
    ("1e23", "1e+23"),
    ("1.5", "1.5"),
    ("0.1234567890123456", "0.1234567890123456"),
    ("9007199254740993", "9007199254740993"),
    ("9223372036854775807", "9223372036854775807"),
    ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ("5e-324", "5e-324"),
    ("true", "true"),
    ('"1"', "1"),
    ('[1.0, {"b": 2.0, "a": 1e23}]', '[1, {"a": 1e+23, "b": 2}]'),
)


def test_equal_numbers_are_one_group(database_url: str, tmp_path: Path) -> None:
    lines = [
        json.dumps(run_body(f"run_{number}", metadata={"k": "VALUE"})).replace('"VALUE"', text)
        for number, (text, _) in enumerate(NUMBERS)
    ]
    assert (
        runfold("import", write_lines(tmp_path / "runs.jsonl", *lines), "--db", database_url).code
        == 0
    )
    ask("verify", database_url)
    with Views(database_url) as views:
        expected: dict[str, int] = {}
        for _, name in NUMBERS:
            expected[name] = expected.get(name, 0) + 1
        for by in ("metadata.k", ("metadata.k", "outcome")):
            assert {row.group["metadata.k"]: row.runs for row in views.usage(by=by)} == expected
        assert {
            row.group["metadata.k"]: row.runs for row in views.status_counts(by="metadata.k")
        } == expected
        for number, (text, _) in enumerate(NUMBERS):
            found: Any = views.run(f"run_{number}").metadata["k"]
            assert found == json.loads(text)
            assert type(found) in (type(json.loads(text)), float, int)


@pytest.mark.skipif(not CASES, reason="the odd documents are not beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_odd_question(case: dict[str, Any], database_url: str, tmp_path: Path) -> None:
    check_questions(case, database_url, tmp_path)
