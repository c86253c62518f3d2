"""A tracker whose database is away, or goes silent: nothing is lost, and it can be left."""

import pytest

from tests.support.database_outages import play
from tests.support.tracker_settings import PLAIN
from tracker.event_store import postgres_connections
from tracker.simulator import Simulator

pytestmark = [pytest.mark.integration, pytest.mark.seeds]


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(parameters=PLAIN)


def test_nothing_is_lost_while_the_database_is_away(postgres_db: str, simulator: Simulator) -> None:
    with simulator:
        outcome = play(postgres_db, simulator, 3.0, silent=False)
    assert (outcome.without_end, outcome.without_steps, outcome.doubled) == (0, 0, 0)


def test_connections_that_go_silent_are_replaced(
    postgres_db: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "STATEMENT_SECONDS", 2.0)
    with simulator:
        outcome = play(postgres_db, simulator, 0.0, silent=True)
    assert (outcome.without_end, outcome.without_steps, outcome.doubled) == (0, 0, 0)
