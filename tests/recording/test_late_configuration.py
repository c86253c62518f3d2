"""Configurations that are told after the first sight of a run are recorded as those told then."""

from tests.support.observations import FUNCTIONS, SERVED, at, document, seen
from tracker.core.events import ConfigurationRecorded, configuration_stream
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
