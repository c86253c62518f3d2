"""Rows of runs whose identity is told late: as if it had been told at once."""

from dataclasses import replace

from tests.support.run_builder import (
    BIRTH,
    created,
    ended,
    phases_of,
    rows_after,
    second,
    seen,
    started,
)
from tracker.core import events as e
from tracker.core.usage import Usage

BARE = created(occurred_at=None, metadata=None)
LIFE = (started(2, stamp=1, since=1), ended(e.RunCompleted, 9, stamp=8, since=7))
TOLD = {"thread_id": "thread_1", "assistant_id": "asst_1", "model": "gpt-4o"}


def test_a_row_is_the_same_whenever_its_identity_is_told() -> None:
    at_once, phases = rows_after(created(**TOLD, configuration_digest="ab", metadata={}), *LIFE)
    late, same_phases = rows_after(
        BARE,
        *LIFE,
        e.RunIdentified(observed_at=seen(90), created_at=BIRTH, configuration_digest="ab", **TOLD),
    )

    assert replace(late, version=3, last_changed_at=seen(9)) == at_once
    assert (late.created_at, late.total_seconds, late.queued_seconds) == (BIRTH, 8, 1)
    assert phases_of(phases) == phases_of(same_phases)


def test_another_model_replaces_the_first_and_nothing_else() -> None:
    first = created(**TOLD)
    run, _ = rows_after(first, *LIFE, e.RunIdentified(observed_at=seen(50), model="gpt-5"))
    before, _ = rows_after(first, *LIFE)

    assert run == replace(before, model="gpt-5", version=4, last_changed_at=seen(50))


def test_what_is_older_does_not_move_the_last_change_back() -> None:
    run, _ = rows_after(created(), e.RunVanished(observed_at=seen(9)), LIFE[0])

    assert run.last_changed_at == seen(9)


def test_an_end_without_usage_keeps_what_was_told_while_the_run_waited() -> None:
    told = e.RunUsageReported(observed_at=seen(5), usage=Usage(prompt_tokens=7, total_tokens=9))
    run, _ = rows_after(created(), told, *LIFE)
    end = ended(e.RunCompleted, 9, stamp=8, since=7, usage=Usage(total_tokens=20))
    other, _ = rows_after(created(), told, end)

    assert (run.prompt_tokens, run.total_tokens) == (7, 9)
    assert (other.prompt_tokens, other.total_tokens) == (None, 20)


def test_names_that_are_told_late_fit_into_an_index() -> None:
    run, _ = rows_after(created(), e.RunIdentified(observed_at=second(5), model="x" * 9999))

    assert run.model is not None
    assert len(run.model.encode()) == 512
