"""Late identities: a run takes in each fact about itself once, whenever it is told."""

import pytest

from tests.support.observations import FUNCTIONS, SERVED, START, at, document, ended, history, seen
from tracker.core.decider import decide, fold
from tracker.core.events import RunIdentified
from tracker.core.snapshot import RunSnapshot
from tracker.event_store.codec import decode, encode
from tracker.testing import Given, given

BARE = {"created_at": None, "configuration": None}
WHOLE = {
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "model": "gpt-4o",
    "created_at": START,
}
TOLD = RunIdentified(
    observed_at=at(9),
    **WHOLE,
    configuration_digest=FUNCTIONS.digest,  # type: ignore[arg-type]
)


def bare() -> Given:
    """Returns the history of a run that a document with an id and a status has shown."""
    return history(seen("completed", 5, **BARE))


@pytest.mark.parametrize("look", [seen, document])
def test_what_the_first_document_lacked_is_one_event(look: object) -> None:
    later = look("completed", 9, **WHOLE)  # type: ignore[operator]
    bare().when(later, later).then(TOLD)
    assert decode(*encode(TOLD)) == TOLD


@pytest.mark.parametrize("status", ["queued", "completed", "failed"])
def test_a_look_from_before_fills_in_what_is_not_known(status: str) -> None:
    [event] = bare().when(seen(status, 3, **WHOLE)).decided[:1]
    moments = {"observed_at": at(5), "asked_at": 2_050_000}
    assert event == TOLD.model_copy(update=moments)


def test_a_document_that_says_less_takes_nothing_back() -> None:
    history(seen("queued", 1, **WHOLE)).when(seen("queued", 2, **BARE)).then_nothing()


def test_a_run_keeps_its_creation_its_assistant_and_its_configuration() -> None:
    history(seen("queued", 1, **WHOLE)).when(
        seen(
            "queued",
            2,
            **(WHOLE | {"created_at": at(1), "assistant_id": "asst_2", "configuration": SERVED}),
        )
    ).then_nothing()


def test_a_router_names_its_model_late() -> None:
    first = seen("queued", 1, model="auto")
    end = ended("completed", 9, 8, model="gpt-4o")
    told = RunIdentified(observed_at=at(9), asked_at=50_000, model="gpt-4o")
    known = history(first)
    assert known.when(end).decided[0] == told
    # Neither the first document again, nor one from before, brings the old name back.
    after = history(first, end)
    after.when(first, document("completed", 50, model="auto"), end).then_nothing()
    [back] = after.when(seen("completed", 60, model="auto")).decided
    assert back == RunIdentified(observed_at=at(60), asked_at=50_000, model="auto")


def test_the_model_of_a_thread_replaces_none() -> None:
    now = {"model": "gpt-7", "has_model_of_thread": True}
    history(seen("queued", 1, model="gpt-6")).when(seen("queued", 2, **now)).then_nothing()
    history(seen("queued", 1)).when(seen("queued", 2, **now)).then(
        RunIdentified(observed_at=at(2), model="gpt-7")
    )


def test_a_run_on_another_thread_tells_nothing_of_this_one() -> None:
    known = given().when(seen("queued", 1, thread_id="thread_1")).decided
    other: RunSnapshot = seen("queued", 2, thread_id="thread_2", model="gpt-7")
    assert not [it for it in decide(fold(known), other) if isinstance(it, RunIdentified)]
