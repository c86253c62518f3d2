"""Laws of the decider, over generated lives and all ways to poll them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated_payloads import other_lives
from tests.support.generated_runs import Life, lives, looks
from tracker.core.decider import decide, fold
from tracker.core.events import (
    Event,
    RunActionRequired,
    RunAnomalyObserved,
    RunCreated,
    RunEnded,
    RunStatusChanged,
)
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState, evolve, initial_state
from tracker.event_store.codec import decode, encode

TRANSITIONS = (RunCreated, RunStatusChanged, RunActionRequired, RunEnded)

looked_at = st.one_of(
    st.booleans().flatmap(lambda stamps: lives(stamps=stamps)), other_lives
).flatmap(lambda life: st.tuples(st.just(life), looks(life)))


def observe(snapshots: list[RunSnapshot]) -> tuple[list[Event], RunState]:
    events: list[Event] = []
    for snapshot in snapshots:
        events += decide(fold(events), snapshot)
    return events, fold(events)


def aged(snapshot: RunSnapshot) -> RunSnapshot:
    return snapshot.model_copy(update={"asked_at": None})


def status_of(event: Event) -> str | None:
    if isinstance(event, RunCreated):
        return "queued"
    if isinstance(event, RunStatusChanged):
        return event.status
    if isinstance(event, RunActionRequired):
        return "requires_action" if event.previous != "requires_action" else None
    return event.status if isinstance(event, RunEnded) else None


@given(looked_at)
def test_observing_twice_is_observing_once(case: tuple[Life, list[RunSnapshot]]) -> None:
    state = initial_state
    for snapshot in case[1]:
        state = fold(decide(state, snapshot), state)
        assert decide(state, snapshot) == []


@given(looked_at)
def test_folding_what_was_decided_gives_the_state(case: tuple[Life, list[RunSnapshot]]) -> None:
    state = initial_state
    stored: list[Event] = []
    for snapshot in case[1]:
        for event in decide(state, snapshot):
            state = evolve(state, event)
            stored.append(decode(*encode(event)))
    assert fold(stored) == state


@given(looked_at)
def test_a_run_that_ended_makes_no_further_transition(
    case: tuple[Life, list[RunSnapshot]],
) -> None:
    life, seen = case
    _, state = observe(seen)
    if state.is_ended:
        for snapshot in (*seen, *life.states, *map(aged, seen)):
            assert not [e for e in decide(state, snapshot) if isinstance(e, TRANSITIONS)]


@given(looked_at, st.randoms())
def test_what_was_seen_changes_nothing_when_a_file_brings_it_again(
    case: tuple[Life, list[RunSnapshot]], random: st.DataObject
) -> None:
    events, state = observe(case[1])
    again = [aged(snapshot) for snapshot in case[1]]
    random.shuffle(again)  # type: ignore[attr-defined]
    for snapshot in again:
        assert decide(state, snapshot) == [], events


@given(looked_at)
def test_an_old_state_never_moves_a_run_back(case: tuple[Life, list[RunSnapshot]]) -> None:
    life, seen = case
    for number, snapshot in enumerate(seen):
        state = observe(seen[: number + 1])[1]
        for old in life.states:
            if old.observed_at < snapshot.asked_at:  # type: ignore[operator]
                after = fold(decide(state, aged(old)), state)
                # Without stamps, or in a status that nobody has documented, an old state that was
                # never seen may pass for a new one.
                stamped = life.ordered and snapshot.started_at is not None
                if (stamped and old.status != "paused_by_operator") or state.is_ended:
                    assert after.status == state.status


@given(looked_at)
def test_the_last_look_is_the_state(case: tuple[Life, list[RunSnapshot]]) -> None:
    life, seen = case
    if not seen:
        return
    events, state = observe(seen)
    last = seen[-1]
    if any(isinstance(event, RunAnomalyObserved) for event in events):
        # Without stamps, a queue after a pause that nobody saw looks like an old answer.
        assert not life.ordered
        return
    assert (state.status, state.usage, state.error) == (last.status, last.usage, last.error)
    assert last.metadata in (None, state.metadata)


@given(looked_at)
def test_nothing_is_claimed_that_did_not_happen(case: tuple[Life, list[RunSnapshot]]) -> None:
    life, seen = case
    events, _ = observe(seen)
    claimed = [status for event in events if (status := status_of(event)) is not None]
    truth = iter(life.statuses)
    assert all(status in truth for status in claimed), (claimed, life.statuses)


@given(lives().flatmap(lambda life: st.tuples(st.just(life), looks(life))))
def test_every_change_lies_within_its_bounds(case: tuple[Life, list[RunSnapshot]]) -> None:
    life, seen = case
    events, _ = observe(seen)
    for before, event in pairwise(events):
        if isinstance(event, RunStatusChanged | RunActionRequired | RunEnded):
            latest = event.not_after or event.observed_at
            assert event.not_before is None or event.not_before <= latest
            assert before.observed_at <= event.observed_at
            entered = [s.observed_at for s in life.states if s.status == status_of(event)]
            assert not entered or any(
                (event.not_before is None or event.not_before <= moment) and moment <= latest
                for moment in entered
            )
