"""Moments of a zone, and the bars of a range."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.web.local_time import LocalTime
from projections.web.time_range import MOST_BARS, choose_range
from tracker.errors import SettingsError

NOW = datetime(2026, 11, 26, 15, 42, 10, tzinfo=UTC)
BERLIN = LocalTime(ZoneInfo("Europe/Berlin"), NOW)


def test_moments_are_written_in_the_zone() -> None:
    assert BERLIN.format_full(NOW) == "Thu 26 Nov 2026, 16:42:10 CET"
    assert BERLIN.format_short(NOW) == "26 Nov 16:42"
    assert BERLIN.format_short(NOW - timedelta(days=400)) == "22 Oct 2025 17:42"
    sao_paulo = LocalTime(ZoneInfo("America/Sao_Paulo"), NOW)
    assert sao_paulo.format_full(NOW) == "Thu 26 Nov 2026, 12:42:10 UTC-03"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1h", "2026-11-26T14:42:10+00:00"),
        ("30min", "2026-11-26T15:12:10+00:00"),
        ("7d", "2026-11-19T23:00:00+00:00"),
        ("1d", "2026-11-25T23:00:00+00:00"),
        ("today", "2026-11-25T23:00:00+00:00"),
        ("Yesterday", "2026-11-24T23:00:00+00:00"),
        ("2026-11-24", "2026-11-23T23:00:00+00:00"),
        ("2026-11-24T15:10", "2026-11-24T14:10:00+00:00"),
        ("2026-11-24T15:10:00Z", "2026-11-24T15:10:00+00:00"),
    ],
)
def test_a_time_is_read_in_the_zone(text: str, moment: str) -> None:
    assert BERLIN.parse(text) == datetime.fromisoformat(moment)


def test_all_is_no_limit() -> None:
    assert BERLIN.parse("all") is None


@given(st.text(max_size=30))
def test_any_other_text_is_refused_with_the_cure(text: str) -> None:
    with suppress(SettingsError):
        BERLIN.parse(text)
    with pytest.raises(SettingsError, match="7d"):
        BERLIN.parse(f"?{text}")


def test_seven_days_are_seven_bars_that_begin_at_midnight() -> None:
    chosen = choose_range("7d", None, BERLIN, None)
    bars = chosen.bars(BERLIN)
    assert [it.label for it in bars] == [
        *("Fri 20", "Sat 21", "Sun 22", "Mon 23", "Tue 24", "Wed 25", "Thu 26")
    ]
    assert chosen.title == "Last 7 days"
    assert chosen.limit is None


def test_a_day_of_24_hours_has_a_bar_for_each() -> None:
    chosen = choose_range("24h", None, BERLIN, None)
    bars = chosen.bars(BERLIN)
    assert len(bars) == 24
    assert (bars[0].label, bars[-1].label) == ("17:00", "16:00")


@pytest.mark.parametrize(
    ("days", "unit", "number"), [(20, "day", 21), (100, "week", 15), (900, "month", 30)]
)
def test_longer_ranges_have_wider_bars(days: int, unit: str, number: int) -> None:
    chosen = choose_range("all", None, BERLIN, NOW - timedelta(days=days))
    assert chosen.unit == unit
    assert len(chosen.bars(BERLIN)) == number


@given(st.dates(date(1, 1, 2), date(2026, 11, 25)), st.sampled_from(["UTC", "Asia/Tokyo"]))
def test_there_are_never_too_many_bars(oldest: date, zone: str) -> None:
    local = LocalTime(ZoneInfo(zone), NOW)
    chosen = choose_range("all", None, local, local.midnight(oldest))
    bars = chosen.bars(local)
    assert 1 <= len(bars) <= MOST_BARS
    assert [it.start for it in bars] == sorted(it.start for it in bars)


@given(st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_each_run_belongs_to_a_bar(day: date) -> None:
    local = LocalTime(ZoneInfo("America/New_York"), datetime(2027, 1, 1, tzinfo=UTC))
    for since in ("400d", "200d"):
        chosen = choose_range(since, None, local, None)
        if local.midnight(day) >= chosen.first:
            assert chosen.bar_of({"day": day}, local) in [it.start for it in chosen.bars(local)]


def test_hours_are_distinct_where_clocks_go_back() -> None:
    local = LocalTime(ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 12, 30, tzinfo=UTC))
    bars = choose_range("24h", None, local, None).bars(local)
    assert len({it.start for it in bars}) == 24
    assert [it.label for it in bars].count("02:00") == 2
