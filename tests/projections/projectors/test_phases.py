"""The table of phases beside ends and steps that leave fewer phases than were written."""

from datetime import timedelta

import pytest

from projections import Views
from tests.support.run_builder import created, ended, second
from tracker.core import events as e
from tracker.event_store import Append, open_event_store


@pytest.mark.integration
def test_an_end_that_leaves_fewer_phases_leaves_no_row_of_the_others(database_url: str) -> None:
    created_late = created(59, occurred_at=None)
    # Longer than the run is known: it proves a pause, and a phase after it.
    step = e.RunStepRecorded(
        observed_at=second(62),
        step_id="step_1",
        type="tool_calls",
        status="completed",
        tools=("price",),
        tool_call_ids=("call_1",),
        created_at=second(59) - timedelta(minutes=16),
        ended_at=second(64),
    )
    end = ended(e.RunFailed, 62.5, stamp=11.5, since=60.5, previous="queued")
    store = open_event_store(database_url)
    with Views(database_url, store=store) as views:
        views.upgrade()
        store.append([Append("assistants:run_1", 0, [created_late, step])])
        views.catch_up()
        written = views.phases("run_1")
        store.append([Append("assistants:run_1", 2, [end])])
        views.catch_up()
        assert len(views.phases("run_1")) < len(written)
        assert views.verify() == []
    store.close()
