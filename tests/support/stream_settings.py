"""Settings of the tests of event streams, which poll no run that its stream has shown."""

from typing import Any

from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Parameters

# Longer than any of these tests; with `resume=False`, a run is not found in the store either.
SLOW = Cadence(shortest=500, longest=1000)
STREAMED = Parameters.ending(
    "completed", action=0.0, time_scale=0.05, stretched=0.0, answers="client"
)


def topics(tracker: Any, run_id: str) -> list[str]:
    """Returns the topics of the events of a run, in order."""
    return [entry.event.topic for entry in tracker.history(run_id)]
