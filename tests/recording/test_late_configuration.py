"""Configurations that are told after the first sight of a run are recorded as those told then."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.observations import FUNCTIONS, SERVED, at, document, seen
from tracker.core.events import ConfigurationRecorded, configuration_stream
from tracker.core.snapshot import RunSnapshot
from tracker.event_store import open_event_store
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository


def test_a_configuration_that_is_told_late_is_recorded_once() -> None:
    store = open_event_store("memory://")
    repository = RunRepository(store)
    bare = seen("queued", 1, configuration=None)
    told = [seen("in_progress", 2, started=1), seen("in_progress", 3, configuration=SERVED)]
    for snapshots in ([bare], [bare, *told], told):
        repository.record([Observation.of(it) for it in snapshots])
    [recorded] = store.read(configuration_stream(FUNCTIONS.digest))
    assert recorded.event == ConfigurationRecorded(
        observed_at=at(2), digest=FUNCTIONS.digest, configuration=FUNCTIONS
    )
    assert store.read(configuration_stream(SERVED.digest)) == []


def test_the_first_of_several_looks_need_not_have_it() -> None:
    store = open_event_store("memory://")
    looks = [seen("queued", 1, configuration=None), document("queued", 2)]
    RunRepository(store).record([Observation.of(it) for it in looks])
    assert len(store.read(configuration_stream(FUNCTIONS.digest))) == 1
    assert [it.event.topic for it in store.read("assistants:run_1")] == [
        "run.created",
        "run.identified",
    ]


RUNS = ("run_1", "run_2", "run_3")


@st.composite
def looks(draw: st.DrawFn) -> list[RunSnapshot]:
    """Looks at a few runs in any order, each with one of two configurations or without any."""
    chosen = draw(
        st.lists(
            st.tuples(
                st.sampled_from(RUNS),
                st.sampled_from([("queued", 1), ("in_progress", 2), ("in_progress", 3)]),
                st.sampled_from([None, FUNCTIONS, SERVED]),
            ),
            min_size=1,
            max_size=8,
        )
    )
    return [
        seen(status, second, run_id=run_id, started=1 if second > 1 else None, configuration=shown)
        for run_id, (status, second), shown in chosen
    ]


@given(looks(), st.data())
def test_the_order_of_the_looks_does_not_matter(
    looks: list[RunSnapshot], data: st.DataObject
) -> None:
    """In whatever order and batches: each configuration that a run has is recorded once."""
    store = open_event_store("memory://")
    repository = RunRepository(store)
    ordered = data.draw(st.permutations(looks))
    cuts = data.draw(st.sets(st.integers(0, len(ordered))))
    for first, last in pairwise(sorted({0, len(ordered)} | cuts)):
        repository.record([Observation.of(it) for it in ordered[first:last]])
    named = set()
    for run_id in RUNS:
        mine = [it.configuration for it in ordered if it.run_id == run_id]
        shown = [it for it in mine if it is not None]
        history = [it.event for it in store.read(f"assistants:{run_id}")]
        digests = {
            digest for it in history if (digest := getattr(it, "configuration_digest", None))
        }
        # A run keeps the first that was shown, whichever look it was.
        assert digests == {it.digest for it in shown[:1]}
        named |= digests
    recorded = [it.event for it in store.read_all() if isinstance(it.event, ConfigurationRecorded)]
    assert sorted(it.digest for it in recorded) == sorted(named)
