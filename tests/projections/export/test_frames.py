"""Answers as flat records, Arrow tables and Polars frames: the same columns and values in each."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars
import pyarrow
import pytest

from projections import Views
from projections.export.rows import Rows
from projections.row_types import Row
from tests.support.run_builder import BIRTH, created, ended, second, started
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.errors import SettingsError
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration

STEP = e.RunStepRecorded(
    observed_at=second(21), step_id="s", type="tool_calls", status="completed", tools=("price",)
)
MOMENT = pyarrow.timestamp("us", tz="UTC")


@pytest.fixture
def views(database_url: str) -> Iterator[Views]:
    """Yields views of one run, created at half past the hour in UTC, a full hour in New Delhi."""
    store = open_event_store("memory://")
    end = ended(e.RunCompleted, 20, stamp=11, since=8, usage=Usage(prompt_tokens=7))
    story = [created(model="gpt-4o"), started(2, stamp=1, since=1), end, STEP]
    store.append([Append("assistants:run_1", 0, story)])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


def test_records_are_flat(views: Views) -> None:
    assert views.usage(by=("day", "model")).records() == [
        {
            "day": date(2026, 1, 1),
            "model": "gpt-4o",
            "runs": 1,
            "runs_without_usage": 0,
            "prompt_tokens": 7,
            "completion_tokens": None,
            "total_tokens": None,
            "cached_tokens": None,
            "reasoning_tokens": None,
            "cache_write_tokens": None,
            "cache_write_5m_tokens": None,
            "cache_write_30m_tokens": None,
            "cache_write_1h_tokens": None,
            "cache_write_12h_tokens": None,
        }
    ]
    timing = views.timing(by="source", percentiles=(50, 99.9)).records()
    assert list(timing[0]) == [
        "source",
        "phase",
        "runs",
        "unknown",
        "mean_seconds",
        "mean_at_least_seconds",
        "mean_at_most_seconds",
        "p50_seconds",
        "p99.9_seconds",
        "p50_at_least_seconds",
        "p50_at_most_seconds",
        "p99.9_at_least_seconds",
        "p99.9_at_most_seconds",
    ]
    assert views.runs().records() == [views.run("run_1").record()]
    assert views.status_counts(by="status").records() == [{"status": "completed", "runs": 1}]


def test_arrow_has_the_types_of_the_rows(views: Views) -> None:
    runs = views.runs().to_arrow()
    [run] = runs.to_pylist()

    assert run["created_at"] == BIRTH
    assert run["metadata"] == '{"user":"ann"}'
    assert (run["prompt_tokens"], run["error_code"]) == (7, None)
    assert runs.schema.field("created_at").type == MOMENT
    assert runs.schema.field("error_code").type == pyarrow.string()
    assert runs.schema.field("running_seconds").type == pyarrow.float64()
    [step] = views.steps("run_1").to_arrow().to_pylist()
    assert step["tools"] == ["price"]
    hours = views.usage(by=("hour", "day"), tz="Asia/Kolkata").to_arrow()
    assert hours.to_pylist()[0]["hour"] == datetime(2026, 1, 1, 11, 30, tzinfo=UTC)
    assert [hours.schema.field(it).type for it in ("hour", "day")] == [MOMENT, pyarrow.date32()]


def answers(views: Views, **choice: Any) -> list[Rows[Any]]:
    return [
        views.runs(**choice),
        views.usage(by=("hour", "metadata.user"), tz="Asia/Kolkata", **choice),
        views.timing(by="day", percentiles=(50, 95), **choice),
        views.status_counts(by=("model",), **choice),
    ]


def test_polars_has_the_columns_and_values_of_arrow(views: Views) -> None:
    for rows in (*answers(views), views.phases("run_1"), views.steps("run_1")):
        frame = rows.to_polars()
        assert frame.height == len(rows) > 0
        assert frame.to_dicts() == rows.to_arrow().to_pylist()
    assert views.runs().to_polars().schema["created_at"] == polars.Datetime("us", "UTC")


def test_pandas_has_the_columns_and_values_of_arrow(views: Views) -> None:
    for rows in (*answers(views), views.phases("run_1"), views.steps("run_1")):
        frame = rows.to_pandas()
        found = frame.astype(object).where(frame.notna(), None).to_dict("records")
        assert found == rows.to_arrow().to_pylist()
    types = views.runs().to_pandas().dtypes
    assert str(types["created_at"]) == "datetime64[us, UTC]"
    assert str(types["prompt_tokens"]) == "Int64"
    assert dict(types) == dict(views.runs(since=second(9000)).to_pandas().dtypes)


def test_a_notebook_shows_a_table(views: Views) -> None:
    shown = views.usage(by="model")._repr_html_()
    assert shown.startswith("<table><thead><tr><th>model</th><th>runs</th>")
    assert '<td style="text-align: left">gpt-4o</td>' in shown
    assert "1 row; without a value: completion_tokens, total_tokens, cached_tokens" in shown
    assert "2026-01-01 12:00:00 UTC" in views.runs()._repr_html_()


def test_a_notebook_shows_hostile_and_long_texts_safely() -> None:
    hostile = Word("<img src=x onerror=alert(1)>" + "x" * 1000)
    shown = Rows(Word, [hostile] * 61)._repr_html_()
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "828 more" in shown
    assert "61 rows; the first 60 are shown" in shown
    assert "0 rows" in Rows(Word, [])._repr_html_()


def test_an_empty_answer_keeps_its_columns(views: Views) -> None:
    for full, empty in zip(answers(views), answers(views, since=second(9000)), strict=True):
        assert empty == []
        assert empty.to_arrow().schema == full.to_arrow().schema
        assert empty.to_polars().schema == full.to_polars().schema
        assert full.to_arrow().schema.names == list(full.records()[0])
    assert views.stuck().to_arrow().num_rows == views.actions().to_polars().height == 0


@dataclass(frozen=True)
class Word(Row):
    """A row with a text."""

    text: str


@dataclass(frozen=True)
class Bill(Row):
    """A row with amounts of money."""

    total_dollars: Decimal | None
    versions: tuple[str, ...]


def test_money_stays_exact() -> None:
    bills = Rows(Bill, [Bill(Decimal("0.000000001"), ("a", "b")), Bill(None, ())])
    expected = [
        {"total_dollars": Decimal("0.000000001"), "versions": ["a", "b"]},
        {"total_dollars": None, "versions": []},
    ]
    assert bills.to_arrow().to_pylist() == bills.to_polars().to_dicts() == expected
    assert bills.to_pandas().to_dict("records") == expected


def test_a_missing_library_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the import system marks a missing module.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    bills = Rows(Bill, [])
    with pytest.raises(SettingsError, match=r'pip install "runfold\[arrow\]"'):
        bills.to_arrow()
    with pytest.raises(SettingsError, match=r'pip install "runfold\[polars\]"'):
        bills.to_polars()
    with pytest.raises(SettingsError, match=r'pip install "runfold\[pandas\]"'):
        bills.to_pandas()
