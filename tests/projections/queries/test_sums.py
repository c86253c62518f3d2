"""Sums, counts and percentiles, compared with plain Python, in any time zone."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import metadata
from projections.folding.micros import micros
from projections.queries.grouping import local_times
from projections.queries.periods import local_days
from tests.support.examples import examples
from tests.support.run_builder import created, ended, values_of
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration

# Clocks change around each of these in at least one of the zones; the last is far from any.
ZONES = {
    "UTC": datetime(2026, 6, 15, 12, tzinfo=UTC),
    "Europe/Berlin": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "America/St_Johns": datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
    "Asia/Kolkata": datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2026, 10, 25, 1, tzinfo=UTC),
}


TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


KINDS = {it.topic.removeprefix("run."): it for it in e.RUN_ENDS.values()}


class SampleRun(NamedTuple):
    """A generated run with its corrections; open if it has no outcome."""

    created_at: datetime
    assistant_id: str | None
    model: str | None
    thread_id: str
    team: str | None
    outcome: str | None
    seconds: float
    usage: Usage | None
    correction: Usage | None

    @property
    def tokens(self) -> list[int | None]:
        first, later = self.usage or Usage(), self.correction or Usage()
        pairs = ((getattr(it, name) for it in (first, later)) for name in TOKENS)
        return [old if new is None else new for old, new in pairs]

    def events(self, run_id: str) -> list[e.Event]:
        first = created(
            run_id=run_id,
            occurred_at=self.created_at,
            observed_at=self.created_at + timedelta(seconds=1),
            assistant_id=self.assistant_id,
            model=self.model,
            thread_id=self.thread_id,
            metadata={} if self.team is None else {"team": self.team},
        )
        if self.outcome is None:
            return [first]
        end = ended(KINDS[self.outcome], 1, stamp=None, since=0, usage=self.usage)
        moment = self.created_at + timedelta(seconds=self.seconds)
        seen = {"observed_at": moment, "not_before": self.created_at}
        events = [first, end.model_copy(update={"occurred_at": moment, **seen})]
        if self.correction is not None:
            events.append(e.RunUsageReported(observed_at=moment, usage=self.correction))
        return events


_usages = st.none() | st.builds(
    Usage,
    prompt_tokens=st.none() | st.integers(0, 10**9),
    completion_tokens=st.none() | st.integers(0, 99),
    total_tokens=st.none() | st.integers(0, 99),
)


_moments = st.builds(
    lambda near, seconds, fraction: near + timedelta(seconds=seconds, microseconds=fraction),
    st.sampled_from(list(ZONES.values())),
    st.integers(-100_000, 100_000),
    st.sampled_from([0, 1, 999_999]),
)


def _tell_exactly(run: SampleRun) -> SampleRun:
    """Returns a run whose duration is told: stamps may be rounded down to what they are whole of.

    A creation at a whole second is known within a second, which matters to no long run.
    """
    seconds = run.seconds + (0 if run.created_at.microsecond else 100_000)
    if (run.created_at + timedelta(seconds=seconds)).microsecond % 1000 == 0:
        seconds += 1e-6
    return run._replace(seconds=round(seconds, 6))


_runs = st.lists(
    st.builds(
        SampleRun,
        created_at=_moments,
        assistant_id=st.sampled_from([None, "asst_1", "asst_2"]),
        model=st.sampled_from([None, "gpt-4o", "o4-mini"]),
        thread_id=st.sampled_from(["thread_1", "thread_2"]),
        team=st.sampled_from([None, "blue", "red"]),
        outcome=st.sampled_from([None, *sorted(KINDS)]),
        seconds=st.floats(0, 1e6).map(lambda it: round(it, 6))
        | st.floats(0, 1).map(lambda it: round(it, 6)),
        usage=_usages,
        correction=_usages,
    ).map(_tell_exactly),
    min_size=1,
    max_size=12,
)


def _value_of(run: SampleRun, name: str, zone: ZoneInfo) -> object:
    if name == "day":
        return run.created_at.astimezone(zone).date()
    return run.team if name == "metadata.team" else getattr(run, name)


def group_runs(
    runs: Sequence[SampleRun], names: Sequence[str], zone: ZoneInfo
) -> dict[tuple[object, ...], list[SampleRun]]:
    groups = defaultdict(list)
    for run in runs:
        groups[tuple(_value_of(run, name, zone) for name in names)].append(run)
    return groups


def sum_known(counts: Sequence[int | None]) -> int | None:
    known = [it for it in counts if it is not None]
    return sum(known) if known else None


def nearest_rank(values: Sequence[float], percent: float) -> float:
    return sorted(values)[ceil(Fraction(str(percent)) * len(values) / 100) - 1]


def record(url: str, store: EventStore, runs: Sequence[SampleRun]) -> None:
    """Records all creations in one batch, all ends in another, all corrections in a third."""
    engine = open_engine(url)
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(delete(table))
    engine.dispose()
    with Views(url, store=store) as views:
        for version in range(3):
            for number, run in enumerate(runs):
                told = run.events(f"run_{number}")[version : version + 1]
                if told:
                    store.append([Append(f"assistants:run_{number}", version, told)])
            views.catch_up()


def check(url: str, runs: Sequence[SampleRun], limits: Sequence[datetime | None]) -> None:
    store = open_event_store("memory://")
    record(url, store, runs)
    since, until = limits
    chosen = [
        run
        for run in runs
        if (since is None or run.created_at >= since) and (until is None or run.created_at < until)
    ]
    done = [run for run in chosen if run.outcome is not None]
    with Views(url, store=store) as views:
        for zone in ZONES:
            for names in (("day",), ("day", "model", "assistant_id")):
                _check_usage(views, done, names, zone, limits)
        for names in ((), ("model",), ("assistant_id", "outcome"), ("thread_id",)):
            _check_usage(views, done, names, "UTC", limits)
        for names in ((), ("assistant_id",), ("day",), ("thread_id",), ("metadata.team",)):
            _check_timing(views, done, names, limits)
        for name in ("source", "assistant_id", "model", "outcome", "thread_id", "day", "team"):
            by = "metadata.team" if name == "team" else name
            counts = Counter(
                ("assistants" if name == "source" else _value_of(run, by, ZoneInfo("UTC")), status)
                for run in chosen
                for status in [run.outcome or "queued"]
            )
            found = views.status_counts(by=by, since=since, until=until)
            assert {(it.group[by], it.status): it.runs for it in found} == counts


def _check_usage(
    views: Views,
    done: Sequence[SampleRun],
    names: Sequence[str],
    zone: str,
    limits: Sequence[datetime | None],
) -> None:
    expected = {
        key: (
            len(runs),
            sum(run.tokens == [None] * 3 for run in runs),
            *(sum_known([run.tokens[at] for run in runs]) for at in range(3)),
        )
        for key, runs in group_runs(done, names, ZoneInfo(zone)).items()
    }
    since, until = limits
    rows = views.usage(by=names, tz=zone, since=since, until=until)
    assert {tuple(it.group.values()): values_of(it)[1:6] for it in rows} == expected


def _check_timing(
    views: Views, done: Sequence[SampleRun], names: Sequence[str], limits: Sequence[datetime | None]
) -> None:
    since, until = limits
    asked = (1, 50, 95, 99.9, 100)
    rows = views.timing(by=names, percentiles=asked, since=since, until=until)
    found = {tuple(it.group.values()): it for it in rows if it.phase == "total"}
    expected = group_runs(done, names, ZoneInfo("UTC"))
    assert found.keys() == expected.keys()
    for key, row in found.items():
        seconds = [run.seconds for run in expected[key]]
        assert row.runs == len(seconds)
        assert row.mean_seconds == _about(sum(seconds) / len(seconds))
        for percent in asked:
            assert row.percentiles[percent] == _about(nearest_rank(seconds, percent))


def _about(seconds: float) -> Any:
    # Times are rounded to microseconds.
    return pytest.approx(seconds, rel=0.01, abs=2e-6)


_law = settings(deadline=None, suppress_health_check=list(HealthCheck))


_limits = st.lists(st.none() | _moments, min_size=2, max_size=2)


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return create_tables(f"sqlite:///{tmp_path_factory.mktemp('sums') / 'runs.db'}")


def create_tables(url: str) -> str:
    with Views(url) as views:
        views.upgrade()
    return url


@settings(_law, max_examples=examples(20))
@given(_runs, _limits)
def test_answers_are_those_of_plain_python_on_sqlite(
    sqlite_url: str, runs: list[SampleRun], limits: list[datetime | None]
) -> None:
    check(sqlite_url, runs, limits)


def test_answers_are_those_of_plain_python_on_postgresql(postgres_db: str) -> None:
    create_tables(postgres_db)

    @settings(_law, max_examples=examples(8))
    @given(_runs, _limits)
    def compare(runs: list[SampleRun], limits: list[datetime | None]) -> None:
        check(postgres_db, runs, limits)

    compare()


SOME_ZONES = [*ZONES, *Random(0).sample(sorted(available_timezones()), 24)]


_number: Callable[[int], int] = lambda year: micros(datetime(year, 1, 1, tzinfo=UTC)) // 900_000_000  # noqa: E731


@pytest.mark.parametrize("name", SOME_ZONES)
def test_days_are_those_that_each_quarter_is_in(name: str) -> None:
    zone, first, end = ZoneInfo(name), _number(2024), _number(2027)
    found = local_days([(it, it + 95) for it in range(first, end, 96)], zone)
    assert (found[0].first, found[-1].last) == (first, end - 1)
    for day, following in zip(found, [*found[1:], None], strict=True):
        assert following is None or day.last + 1 == following.first
        # Both ends of a day, and every second hour, where clocks may change.
        for quarter in {day.first, day.last, *range(day.first, day.last, 8)}:
            assert local_times(("day",), quarter, zone) == {"day": day.date}


@given(
    st.sets(st.integers(_number(1), _number(9999) + 365 * 96 - 1), min_size=1, max_size=9),
    st.sampled_from(SOME_ZONES),
)
def test_days_of_single_quarters(quarters: set[int], name: str) -> None:
    zone = ZoneInfo(name)
    found = local_days([(it, it) for it in sorted(quarters)], zone)
    expected = [local_times(("day",), it, zone)["day"] for it in sorted(quarters)]
    assert [day.date for day in found] == list(dict.fromkeys(expected))
