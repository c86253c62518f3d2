"""A FastAPI app that polls, keeps the tables up, and lists runs with a schema.

RUNFOLD_DB=… OPENAI_BASE_URL=https://… OPENAI_API_KEY=… uvicorn tests.recipes.fastapi_app:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

from projections import RunRow, Views
from tracker import Tracker
from tracker.errors import UnknownRun

views = Views(os.environ["RUNFOLD_DB"])
tracker = Tracker.from_env()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    tracker.follow(views)
    async with tracker:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/runs")
def list_runs(limit: int = 5) -> list[RunRow]:
    return views.runs(limit=limit)


@app.get("/runs/{run_id}")
def show_run(run_id: str) -> RunRow:
    try:
        return views.run(run_id)
    except UnknownRun as error:
        raise HTTPException(404, str(error)) from error
