"""Files of snapshots, written by the simulator without its server."""

import json
from pathlib import Path

from tracker.simulator import ManualClock, Parameters, Simulator

START = 1_750_000_000.0
POLLS = 40


def write_simulated_file(file: Path, runs: int = 4) -> Path:
    """Writes snapshots of runs, one per second; all complete except one that waits for outputs."""
    simulator = Simulator(clock=ManualClock(START))
    quick = Parameters.ending("completed", action=0.0, stretched=0.0, time_scale=0.2)
    waiting = Parameters.ending("completed", action=1.0, answers="client", time_scale=0.2)
    ids = [simulator.create_run(parameters=quick).run_id for _ in range(runs - 1)]
    ids.append(simulator.create_run(parameters=waiting).run_id)
    with file.open("w", encoding="utf-8") as lines:
        for number in range(POLLS):
            moment = START + number + 0.5
            for run_id in ids:
                body = simulator.body(run_id, at=moment)
                lines.write(json.dumps({"observed_at": moment, "body": body}) + "\n")
    return file
