"""A FastAPI service that starts runs, runs the tools they ask for, and says how they are.

BASE_URL=https://… API_KEY=… uvicorn tests.examples.fastapi_service:app

With RUNFOLD_DB=postgresql://… it may have several workers, `--workers 4`.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException

from tracker import Delivery, Tracker
from tracker.core.events import RunActionRequired
from tracker.errors import UnknownRun
from tracker.sources import Assistants, RunToolCall

api = Assistants(base_url=os.environ["BASE_URL"], api_key=lambda: os.environ["API_KEY"])
tracker = Tracker(os.environ.get("RUNFOLD_DB", "sqlite:///runs.db"), api)


@tracker.tool
async def get_weather(city: str, unit: str = "celsius") -> str:
    return f"18 degrees {unit} in {city}"


@tracker.tool("issue_refund", once=True)  # the name of the calls, if it is another one
def refund(order_number: str, amount: float, reason: str) -> dict[str, object]:
    return {"order": order_number, "paid": amount, "reason": reason}


@tracker.on(RunActionRequired)
async def run_other_tools(delivery: Delivery[RunActionRequired]) -> None:
    # It may come twice, or late: what counts is what the run waits for now.
    run = await tracker.runs.retrieve(delivery.thread_id, delivery.run_id)
    if run.status == "requires_action":
        calls = run.tool_calls
        # The tools above answer a run that needs no others.
        if {it.function and it.function.name for it in calls} - {"get_weather", "issue_refund"}:
            outputs = [{"tool_call_id": call.id, "output": look_up(call)} for call in calls]
            await tracker.runs.submit_tool_outputs(delivery.thread_id, delivery.run_id, outputs)


def look_up(call: RunToolCall) -> str:
    """What the tool of a call gives: the job of this service."""
    return json.dumps({"asked": call.function and call.function.name, "answer": 42})


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # In each worker, after it was forked: polling begins here, and ends without a loss.
    async with tracker:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/threads/{thread_id}/runs")
async def create(thread_id: str, customer: str) -> dict[str, str]:
    run = await tracker.runs.create(
        thread_id, assistant_id="asst_1", metadata={"customer": customer}
    )
    return {"run_id": run.id}


@app.get("/runs/{run_id}")
async def show(run_id: str) -> dict[str, Any]:
    try:
        recorded = tracker.history(run_id)
    except UnknownRun as error:
        raise HTTPException(404, str(error)) from error
    return {"events": [entry.event.topic for entry in recorded]}
