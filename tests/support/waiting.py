"""Waiting for a condition of a test, generously: a busy machine may be slow for a long time."""

import asyncio
import time
from collections.abc import Callable

# Seconds within which anything happens that happens at all.
PATIENCE = 300.0


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Returns once a condition is true; fails where it is not within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - a condition has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s") from None


def block_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Does the same without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
