"""A script, without an event loop, that has a thread's assistant answer and runs its tools.

BASE_URL=https://… API_KEY=… python tests/examples/script.py THREAD
"""

import os
import sys

from tracker import Delivery, Tracker
from tracker.core.events import RunActionRequired
from tracker.sources import Assistants


def main(thread_id: str) -> int:
    api = Assistants(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"])
    tracker = Tracker("sqlite:///runs.db", api).in_background()

    @tracker.on(RunActionRequired)
    def run_tools(delivery: Delivery[RunActionRequired]) -> None:
        run = tracker.runs.retrieve(delivery.thread_id, delivery.run_id)
        if run.status == "requires_action":
            calls = run.tool_calls
            outputs = [{"tool_call_id": call.id, "output": "42"} for call in calls]
            tracker.runs.submit_tool_outputs(delivery.thread_id, delivery.run_id, outputs)

    with tracker:
        run = tracker.runs.create(thread_id, assistant_id="asst_1")
        state = tracker.wait(run.id, timeout=300)
    print(run.id, state.status, state.usage)  # noqa: T201 - it is for a terminal
    return 0 if state.status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
