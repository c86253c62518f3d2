"""Rates and hazards that were found for a source are there again at the next start."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.poller_bench import KNOWN, ScriptedSource, body, others
from tracker.polling.policy.hazards import BINS, Counts, HazardModels
from tracker.polling.policy.pace import Pace, known_limit
from tracker.polling.policy.rate_limiter import FLOOR, MOST
from tracker.polling.watch_list import WatchList
from tracker.testing import FakeClock

STAYS = st.lists(st.tuples(st.floats(0.0, 3000.0), st.booleans()), max_size=30)


def as_kept(models: HazardModels) -> HazardModels:
    """Returns models as they are after they were written and read."""
    return HazardModels.of_document(json.loads(json.dumps(models.to_document())), 0.0)


@given(st.lists(st.tuples(st.sampled_from(["asst_1", "asst_2", None]), STAYS), max_size=4))
def test_models_are_as_they_were(kinds: list[tuple[str | None, list[tuple[float, bool]]]]) -> None:
    models = HazardModels()
    states = [
        KNOWN._replace(assistant_id=assistant, model="m\u0000", status=status)
        for assistant, _ in kinds
        for status in ("in_progress", "requires_action")
    ]
    for (assistant, stays), state in zip(kinds * 2, states, strict=False):
        counts = models.for_state(state._replace(assistant_id=assistant), 0.0).counts
        for seconds, has_changed in stays:
            counts.add_exposure(0.0, seconds)
            if has_changed:
                counts.add_change(seconds)
    document = models.to_document()
    kept = as_kept(models)
    assert kept.to_document() == document
    for state in states:
        before, after = models.for_state(state, 0.0), kept.for_state(state, 0.0)
        models.refresh(before, 1.0)
        kept.refresh(after, 1.0)
        assert after.curve.shares == pytest.approx(before.curve.shares, rel=0.02)


def test_what_was_seen_long_ago_weighs_no_more_than_a_hundred_runs() -> None:
    models = HazardModels()
    counts = models.for_state(KNOWN, 0.0).counts
    for _ in range(10_000):
        counts.add_exposure(0.0, 10.0)
        counts.add_change(10.0)
    kept = as_kept(models).for_state(KNOWN, 0.0).counts
    assert sum(kept.events) == pytest.approx(100.0)
    assert sum(kept.exposure) == pytest.approx(1000.0)


def test_models_without_counts_are_an_empty_document() -> None:
    assert Counts().to_document() == {}
    kept = HazardModels.of_document({}, 0.0)
    assert len(kept.for_unknown(0.0).curve.shares) == BINS


def test_polling_begins_at_the_rate_that_was_found_before() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, body("in_progress"))
    watch_list = WatchList(clock, paces={"assistants": Pace(40.0, 44.0)})
    limit = watch_list.dispatcher(source).limiter.limit
    assert (limit.rate, limit.refused_rate) == (40.0, 44.0)
    # Nothing is known of it yet that is worth keeping.
    assert watch_list.paces() == {}


def test_one_of_several_workers_begins_with_its_part_before_it_owns_any_run() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, body("in_progress"))
    watch_list = WatchList(clock, paces={"assistants": Pace(40.0, 44.0)})
    watch_list.set_ownership(others, workers=4)
    limit = watch_list.dispatcher(source).limiter.limit
    assert (limit.rate, limit.refused_rate, limit.part) == (10.0, 11.0, 0.25)
    watch_list.set_ownership(others, workers=2)
    limit = watch_list.dispatcher(source).limiter.limit
    assert (limit.rate, limit.part) == (20.0, 0.5)
    watch_list.set_ownership(lambda source, thread_id: True)
    assert watch_list.dispatcher(source).limiter.limit.rate == 40.0


def test_the_last_of_several_workers_has_the_whole_source_again() -> None:
    clock = FakeClock()
    watch_list = WatchList(clock)
    dispatcher = watch_list.dispatcher(ScriptedSource(clock, body("in_progress")))
    for workers in range(2, 100):
        watch_list.set_ownership(others, workers)
        watch_list.set_ownership(lambda source, thread_id: True)
        assert dispatcher.limiter.limit.part == 1.0


@pytest.mark.parametrize(
    ("pace", "ceiling", "rate"),
    [
        (Pace(40.0), None, 40.0),
        # It never refused: the rate was low because nobody needed more.
        (Pace(0.5), None, 5.0),
        (Pace(0.5, 0.6), None, 0.5),
        (Pace(0.0001, 0.0002), None, FLOOR),
        (Pace(1e9, None), None, MOST),
        (Pace(40.0, 44.0), 2.0, 2.0),
        # Of a row that somebody wrote.
        (Pace(math.nan), None, 5.0),
        (Pace(-1.0), None, 5.0),
    ],
)
def test_the_first_limit(pace: Pace, ceiling: float | None, rate: float) -> None:
    assert known_limit(pace, 5.0, ceiling).rate == rate
