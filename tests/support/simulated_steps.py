"""Steps of simulated runs: as recorded, and as they were."""

from tracker import Tracker
from tracker.core.events import RunStepRecorded
from tracker.simulator import Simulator


def steps_of(tracker: Tracker, run_id: str) -> list[str]:
    """Returns the ids of the steps that are recorded of a run."""
    events = [entry.event for entry in tracker.history(run_id)]
    return [event.step_id for event in events if isinstance(event, RunStepRecorded)]


def true_steps(simulator: Simulator, run_id: str) -> list[str]:
    """Returns the ids of the steps that have ended, sorted."""
    return sorted(step.id for step in simulator.truth(run_id).steps if step.ended_at is not None)
