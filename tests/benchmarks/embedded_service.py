"""A service that answers requests while a tracker polls in it: on its loop, or in a thread."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from tracker import Tracker
from tracker.sources import Assistants

tracker = Tracker(os.environ["RUNFOLD_DB"], Assistants(os.environ["BASE_URL"]))
background = tracker.in_background()


def work() -> dict[str, Any]:
    """What the service does for a request: some milliseconds of JSON."""
    document = {str(number): "x" * 20 for number in range(1000)}
    for _ in range(3):
        document = json.loads(json.dumps(document))
    return {"size": len(document)}


@asynccontextmanager
async def in_the_loop(app: FastAPI) -> AsyncIterator[None]:
    async with tracker:
        yield


@asynccontextmanager
async def in_a_thread(app: FastAPI) -> AsyncIterator[None]:
    with background:
        yield


loop, thread = FastAPI(lifespan=in_the_loop), FastAPI(lifespan=in_a_thread)


@loop.get("/work")
async def _() -> dict[str, Any]:
    return work()


@loop.post("/watch")
async def _(thread_id: str, run_id: str) -> None:
    await tracker.watch(thread_id, run_id)


@thread.get("/work")
def _() -> dict[str, Any]:
    return work()


@thread.post("/watch")
def _(thread_id: str, run_id: str) -> None:
    background.watch(thread_id, run_id)


@loop.get("/counts")
@thread.get("/counts")
def counts() -> dict[str, int]:
    counted = tracker.counts()["assistants"]
    return {"active": sum(counted.active.values()), "polls": counted.polls}
