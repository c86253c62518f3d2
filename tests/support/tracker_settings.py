"""Settings that make a tracker and the simulated runs fast enough for a test."""

from typing import Any

from tracker import Tracker
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

# Cadence of a tracker that sees short runs to their ends.
QUICK = Cadence(shortest=0.05, longest=0.2, start=200.0)
# Runs that end within a second or so.
SHORT: dict[str, Any] = {"time_scale": 0.02, "stretched": 0.0, "answers": "client"}
PLAIN = Parameters.ending("completed", action=0.0, **SHORT)
# Runs that ask for tool outputs once.
TOOLS = Parameters.ending("completed", action=1.0, max_actions=1, unanswered=0.0, **SHORT)
# Runs that are at work for longer than a test, and runs that are queued for longer.
LONG = Parameters.ending("completed", action=0.0, work_medians=(600.0, 600.0), queued_median=0.3)
QUEUED = Parameters.ending("completed", queued_median=300, queued_within=(300, 300))


def tracker_of(database_url: str, simulator: Simulator, **settings: Any) -> Tracker:
    """Returns a tracker of a simulated service, with a cadence for short runs."""
    api = Assistants(base_url=simulator.base_url, api_key="key-4f1d9c22b7")
    return Tracker(database_url, api, cadence=QUICK, **settings)
