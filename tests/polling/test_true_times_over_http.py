"""A service whose clock is behind ours, polled over HTTP: the truth is inside the bounds."""

from pathlib import Path

import pytest

from tests.benchmarks.true_times import KINDS, follow_over_http, judge
from tracker.core.events import RunCreated

pytestmark = [pytest.mark.integration, pytest.mark.seeds]


@pytest.mark.parametrize("ahead", [-1.5, -5.0])
def test_the_truth_is_inside_the_bounds(ahead: float, tmp_path: Path) -> None:
    runs = follow_over_http(f"sqlite:///{tmp_path}/runs.db", ahead, 12)
    figures = judge(runs)
    assert figures["total"].runs == 12
    assert [it.false for it in figures.values()] == [[]] * len(KINDS)
    for run in runs:
        created = run.events[0]
        assert isinstance(created, RunCreated)
        assert created.occurred_at is not None
        # The service is behind, whatever its stamps say.
        assert (created.occurred_at - created.observed_at).total_seconds() < ahead + 0.001
