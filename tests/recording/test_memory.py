"""Recording keeps little in memory, however many runs and however long their documents."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.observations import at, ended, seen, waiting
from tracker import open_event_store
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository

pytestmark = pytest.mark.integration


def measure_growth(repository: RunRepository, looks: Iterable[Observation]) -> int:
    """Returns the bytes that a repository keeps after recording."""
    gc.collect()
    tracemalloc.start()
    try:
        for look in looks:
            [result] = repository.record([look])
            assert isinstance(result, RecordResult)
        del look, result
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.fixture
def make_repository(tmp_path: Path) -> Iterator[Callable[..., RunRepository]]:
    """Makes repositories on one SQLite file, so that events take no memory."""
    with closing(open_event_store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        yield lambda **capacity: RunRepository(store, **capacity)


def chained_looks(number: int, instructions: int, name: str) -> Iterator[Observation]:
    """Yields responses that each continue another one, which is not seen yet."""
    for index in range(number):
        text = f"{name} {index} " + "x" * instructions
        response = seen(
            "in_progress",
            index,
            run_id=f"{name}_{index}",
            continues=f"{name}_before_{index}",
            configuration=Configuration(instructions=text),
        )
        yield Observation.of(response)
        predecessor = Observation.of_predecessor(response)
        assert predecessor is not None
        yield predecessor


def test_chained_responses_keep_no_documents(make_repository: Callable[..., RunRepository]) -> None:
    # What a first use of the libraries keeps for good is not counted.
    measure_growth(make_repository(), chained_looks(20, 30, "warm"))
    short = measure_growth(make_repository(), chained_looks(100, 30, "short"))
    long = measure_growth(make_repository(), chained_looks(100, 30_000, "long"))
    assert long < 1.5 * short


def ended_looks(number: int, name: str) -> Iterator[Observation]:
    for index in range(number):
        yield Observation.of(ended("completed", 12, 10, run_id=f"{name}_{index}"))


def test_few_heads_of_ended_runs_are_kept(make_repository: Callable[..., RunRepository]) -> None:
    measure_growth(make_repository(), ended_looks(20, "warm"))
    few = measure_growth(make_repository(ended_runs=50), ended_looks(100, "few"))
    many = measure_growth(make_repository(ended_runs=50), ended_looks(400, "many"))
    assert many < 1.5 * few


def test_a_run_is_known_again_after_its_head_was_dropped(
    make_repository: Callable[..., RunRepository],
) -> None:
    repository = make_repository(open_runs=1, ended_runs=1)
    looks = [
        Observation.of(look)
        for name in "abc"
        for look in (
            seen("in_progress", 2, started=1, run_id=name),
            ended("completed", 12, 10, run_id=name),
        )
    ]
    first, second = ([repository.record([look])[0] for look in looks] for _ in range(2))
    assert all(isinstance(it, RecordResult) and it.events for it in first)
    assert all(isinstance(it, RecordResult) and not it.events for it in second)


@pytest.mark.parametrize("ends_at_once", [True, False])
def test_a_wait_that_ended_before_it_was_seen(
    make_repository: Callable[..., RunRepository], ends_at_once: bool
) -> None:
    repository = make_repository()
    successor: RunSnapshot = seen("queued", 9, run_id="run_2", continues="run_1").model_copy(
        update={"created_at": at(8)}
    )
    predecessor = Observation.of_predecessor(successor)
    assert predecessor is not None
    first = Observation.of(seen("in_progress", 2, started=1))
    wait = Observation.of(waiting(10))
    if ends_at_once:
        repository.record([predecessor, first, wait])
    else:
        for look in (first, predecessor, wait):
            repository.record([look])
    state = repository.state("assistants:run_1")
    assert (state.status, state.ended_at) == ("completed", at(8))
    assert state.observed_at is not None
    assert state.observed_at - at(10) < timedelta(seconds=1)
