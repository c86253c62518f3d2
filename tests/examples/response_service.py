"""A FastAPI service that makes responses, is told of them by webhook, and streams their words.

BASE_URL=https://… API_KEY=… WEBHOOK_SECRET=whsec_… uvicorn tests.examples.response_service:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI

from tracker import Tracker
from tracker.errors import WebhookRefused, WebhookReplayed
from tracker.sources import Responses

SECRET = os.environ["WEBHOOK_SECRET"]

client = AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"])
api = Responses(base_url=os.environ["BASE_URL"], api_key=lambda: os.environ["API_KEY"])
tracker = Tracker(os.environ.get("RUNFOLD_DB", "sqlite:///runs.db"), api)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with tracker, client:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks")
async def webhook(request: Request) -> None:
    try:
        await tracker.webhook(await request.body(), request.headers, secret=SECRET)
    except WebhookReplayed:
        pass  # It was taken in before: that is a success.
    except WebhookRefused as error:
        raise HTTPException(400, str(error)) from error


@app.post("/ask")
async def ask(question: str) -> StreamingResponse:
    stream = await client.responses.create(
        model="gpt-5", input=question, background=True, stream=True
    )

    async def words() -> AsyncIterator[str]:
        async for event in tracker.observing(stream):
            if event.type == "response.output_text.delta":
                yield event.delta

    return StreamingResponse(words(), media_type="text/plain")
