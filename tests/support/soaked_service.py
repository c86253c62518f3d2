"""A service that keeps so many runs active for a while, and tells what it needs for that."""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from projections import Views
from tracker import Tracker
from tracker.sources import Assistants

SAMPLE_SECONDS = 1.0
# Runs that are started at once.
_TOGETHER = 20


def sample() -> tuple[int, int, int]:
    """Returns the memory of this process in KiB, its descriptors and its threads."""
    status = Path("/proc/self/status").read_text("ascii")
    memory = int(status.partition("VmRSS:")[2].split()[0])
    return memory, len(os.listdir("/proc/self/fd")), threading.active_count()


async def soak(url: str, base_url: str, runs: int, seconds: float, threads: list[str]) -> None:
    """Keeps runs active; prints a sample each second, with the numbers of active and begun runs."""
    api, begun = Assistants(base_url, "key-4f1d9c22b7"), 0
    until, sampled = time.monotonic() + seconds, 0.0
    with Views(url) as views:
        async with Tracker(url, api) as tracker:
            await asyncio.to_thread(tracker.follow, views)
            while (now := time.monotonic()) < until:
                missing = min(runs - len(tracker.watching), _TOGETHER)
                numbers = range(begun, begun + max(missing, 0))
                await asyncio.gather(
                    *(
                        tracker.runs.create(threads[it % len(threads)], assistant_id="asst_1")
                        for it in numbers
                    )
                )
                begun += len(numbers)
                if now - sampled >= SAMPLE_SECONDS:
                    sampled = now
                    print(*sample(), len(tracker.watching), begun, flush=True)  # noqa: T201
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    url, base_url, runs, seconds, threads = sys.argv[1:6]
    asyncio.run(soak(url, base_url, int(runs), float(seconds), threads.split(",")))
