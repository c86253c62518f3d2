"""A worker as a process that a test kills: one of several trackers on one database."""

import asyncio
import os
import sys

from tracker import Tracker
from tracker.polling.policy.cadence import Cadence
from tracker.sources import Assistants

EVERY_SECONDS = 0.15


async def main(url: str, base_url: str, notes: str, threads: str, stop: str) -> None:
    """Creates runs on these threads until the file `stop` exists, and polls until it is killed."""
    noted = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    api = Assistants(base_url=base_url, api_key="key-4f1d9c22b7")
    async with Tracker(url, api, cadence=Cadence(start=50.0)) as tracker:
        for thread in threads.split(","):
            if os.path.exists(stop):  # noqa: ASYNC240 - a local file
                break
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            if tracker.history(run.id):
                os.write(noted, f"{run.id}\n".encode())
            await asyncio.sleep(EVERY_SECONDS)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
