"""A process that delivers events until a test kills it; notes each event that it handled."""

import asyncio
import os
import sys
import time

from tracker import Delivery, Tracker
from tracker.core.events import RunActionRequired, RunCreated, RunEnded
from tracker.delivery import sharing
from tracker.sources import Assistants


async def main(url: str, path: str, last: int, seconds: float) -> None:
    """Delivers events until position `last`; a line has the run, the version and the time."""
    # A short lease, so that another process takes over within the time of a test.
    sharing.LEASE_SECONDS = 0.4
    sharing.RENEWAL_SECONDS = sharing.ACQUISITION_SECONDS = 0.1
    notes = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    tracker = Tracker(url, Assistants("http://127.0.0.1:9/v1"), resume=False)

    @tracker.on(RunCreated, RunActionRequired, RunEnded)
    async def note(delivery: Delivery) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        os.write(notes, f"{delivery.run_id} {delivery.version} {time.time()}\n".encode())

    async with tracker:
        while tracker.deliveries()[0].position < last:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    os.close(notes)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
