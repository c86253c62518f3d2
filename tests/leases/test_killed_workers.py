"""Workers killed every few seconds: others take over their shards."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.many_workers import Outcome, run_workers
from tests.support.pending_comparison import compare_pending
from tracker import open_event_store
from tracker.core.events import RunCreated, RunEnded
from tracker.leases.postgres import SHARD_LEASE_SECONDS

pytestmark = pytest.mark.integration


@pytest.mark.kills
def test_workers_killed_on_the_way(postgres_db: str, tmp_path: Path) -> None:
    outcome = run_workers(postgres_db, tmp_path, seconds=14, kill_every=3)
    assert outcome.kills >= 3
    assert len(outcome.noted) > 50
    check(postgres_db, outcome)
    # Measured in tests/benchmarks/workers.py, below 10; other tests run beside this one.
    assert max(outcome.unheld) < 30


@pytest.mark.kills
def test_of_four_workers_one_is_stopped_and_one_killed(postgres_db: str, tmp_path: Path) -> None:
    # For longer than a lease lasts.
    outcome = run_workers(
        postgres_db, tmp_path, seconds=4, kill_every=2.5, number=4, stop_for=SHARD_LEASE_SECONDS + 1
    )
    assert outcome.kills == 1
    check(postgres_db, outcome)


def check(url: str, outcome: Outcome) -> None:
    """Fails if a transition was lost or recorded twice, or a run stays open."""
    created = {e.event.run_id for e in outcome.events if isinstance(e.event, RunCreated)}
    assert outcome.noted <= created
    assert outcome.open == 0
    assert outcome.twice == []
    ends = [entry.stream for entry in outcome.events if isinstance(entry.event, RunEnded)]
    assert len(ends) == len(set(ends)) == len(created)
    with closing(open_event_store(url)) as store:
        now = datetime.now(UTC)
        compare_pending(store, now - timedelta(hours=1), now)
