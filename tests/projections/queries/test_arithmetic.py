"""Arithmetic behind the answers, permitted groupings, and the cost of an import."""

import json
import math
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.database.engine import open_engine
from projections.folding.json_text import json_text
from projections.queries.grouping import group_names, local_times, time_zone
from projections.queries.timing import nearest_ranks
from tracker.errors import SettingsError

SECONDS = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@given(SECONDS, st.sampled_from([0.1, 1, 33.3, 50, 95, 99, 99.9, 100]))
def test_a_percentile_is_the_smallest_time_not_exceeded_by_that_many(
    seconds: list[float], percent: float
) -> None:
    [found] = nearest_ranks(Counter(seconds), [percent])
    enough = Fraction(str(percent)) * len(seconds) / 100

    assert sum(it <= found for it in seconds) >= enough
    assert all(
        sum(it <= smaller for it in seconds) < enough for smaller in seconds if smaller < found
    )


def test_a_percentile_is_not_off_by_one_through_floating_point() -> None:
    assert nearest_ranks(Counter(range(1, 1001)), [50, 99.9, 100]) == [500, 999, 1000]


def test_a_time_zone_has_days_of_23_and_25_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    def hours(day: date) -> set[object]:
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 900
        times = [local_times(("day", "hour"), it, berlin) for it in range(start - 96, start + 192)]
        return {it["hour"] for it in times if it["day"] == day}

    assert len(hours(date(2026, 3, 29))) == 23
    assert len(hours(date(2026, 7, 1))) == 24
    assert len(hours(date(2026, 10, 25))) == 25


@given(st.integers(0, 2_500_000), st.sampled_from(["Asia/Kathmandu", "Australia/Lord_Howe"]))
def test_an_hour_begins_where_the_clock_on_the_wall_does(quarter: int, zone: str) -> None:
    times = [local_times(("hour",), it, ZoneInfo(zone))["hour"] for it in (quarter, quarter + 1)]

    assert all(isinstance(it, datetime) for it in times)
    assert all(one <= other for one, other in pairwise(times))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("moment", "begin"),
    [
        # Clocks go on by half an hour, from 02:00 to 02:30 and back from 02:00 to 01:30.
        (datetime(2025, 10, 4, 15, 15, tzinfo=UTC), "2025-10-05T01:00:00+10:30"),
        (datetime(2025, 10, 4, 15, 30, tzinfo=UTC), "2025-10-05T02:30:00+11:00"),
        (datetime(2025, 10, 4, 15, 45, tzinfo=UTC), "2025-10-05T02:30:00+11:00"),
        (datetime(2025, 10, 4, 16, 0, tzinfo=UTC), "2025-10-05T03:00:00+11:00"),
        (datetime(2025, 4, 5, 14, 45, tzinfo=UTC), "2025-04-06T01:00:00+11:00"),
        (datetime(2025, 4, 5, 15, 15, tzinfo=UTC), "2025-04-06T01:30:00+10:30"),
        (datetime(2025, 4, 5, 15, 30, tzinfo=UTC), "2025-04-06T02:00:00+10:30"),
    ],
)
def test_an_hour_begins_where_clocks_change_within_it(moment: datetime, begin: str) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    hour = local_times(("hour",), int(moment.timestamp()) // 900, zone)["hour"]

    assert isinstance(hour, datetime)
    assert hour.astimezone(zone).isoformat() == begin


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd", "/etc/localtime"])
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="no time zone"):
        time_zone(name)


def test_only_columns_that_make_sense_are_grouped_by() -> None:
    assert group_names("model") == ("model",)
    assert group_names(("model", "outcome", "model")) == ("model", "outcome")
    with pytest.raises(SettingsError, match=r"'metadata' .* source, assistant_id, .* metadata.KEY"):
        group_names(["metadata"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_the_json_of_anything_is_taken_by_every_database(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    def texts(decoded: object) -> str:
        match decoded:
            case str():
                return decoded
            case dict():
                return "".join(texts(it) for it in (*decoded.keys(), *decoded.values()))
            case list():
                return "".join(map(texts, decoded))
            case _:
                return ""

    decoded = json.loads(json_text(value), parse_constant=refuse)

    assert "\x00" not in texts(decoded)


def test_json_that_is_harmless_is_kept() -> None:
    kept = {"a": ["\\u0000", "ü", 1.5, 10**30, None, {}]}
    assert json.loads(json_text(kept)) == kept
    assert json.loads(json_text(["\x00", math.nan, -math.inf])) == ["\ufffd", "NaN", "-Infinity"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "runs.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://host/runs.db",
        "mysql://localhost/runs",
        "postgresql://localhost:port/runs",
    ],
)
def test_a_url_that_is_no_database_is_refused_with_the_forms_that_are(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:///file\.db"):
        open_engine(url)


def test_importing_loads_nothing_until_a_name_is_used() -> None:
    script = (
        "import sys, projections; loaded = set(sys.modules)\n"
        "heavy = {'sqlalchemy', 'alembic', 'pydantic', 'httpx', 'apscheduler'}\n"
        "assert not heavy & loaded, heavy & loaded\n"
        "projections.Views('sqlite:///none.db').close(); loaded = set(sys.modules)\n"
        "heavy = {'alembic', 'httpx', 'apscheduler', 'psycopg'}\n"
        "heavy |= {'genai_prices', 'polars', 'pyarrow'}\n"
        "assert not heavy & loaded, heavy & loaded\n"
        "assert dir(projections) == projections.__all__ == sorted(projections.__all__)\n"
        "assert len(projections.metadata.tables) == 13\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
