"""A loopback server with scripted replies, and a clock that can be moved forward."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.support.loopback import listening

NOW = int(time.time())
NOTHING = {"object": "list", "data": [], "has_more": False}


@dataclass(frozen=True)
class Reply:
    """A response: a status, a JSON document, and further headers."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, now: datetime) -> bytes:
        """Returns the reply as bytes of HTTP."""
        body = json.dumps(self.document).encode()
        head = {
            "Date": format_datetime(now, usegmt=True),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **self.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"HTTP/1.1 {self.status} Said\r\n{lines}\r\n".encode() + body


def run_of(status: str, **more: Any) -> Reply:
    """Returns a reply with a run."""
    times = {"created_at": NOW - 10, "expires_at": NOW + 600}
    ids = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1"}
    return Reply(200, {**ids, **times, "status": status, **more})


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Reply:
    """Returns a reply with an error."""
    return Reply(status, {"error": {"message": message, **more}}, headers or {})


class ScriptedServer:
    """A server that sends its `replies` in order, and repeats the last one.

    Requests for steps get `steps`. `heads` holds the other requests; `ahead` is the offset of the
    server's clock.
    """

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.steps = Reply(200, NOTHING)
        self.heads: list[bytes] = []
        self.ahead = timedelta()
        self.url = ""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            reply = self.steps
            if b"/steps" not in head.split(b"\r\n")[0]:
                self.heads.append(head)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            writer.write(reply.encode(datetime.now(UTC) + self.ahead))
            await writer.drain()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serves on a free port; yields the base URL."""
        async with listening(self._answer) as port:
            self.url = f"http://127.0.0.1:{port}/v1"
            yield self.url


class SkippingClock:
    """The system clock, with `skip` to move it forward."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skipped)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def skip(self, seconds: float) -> None:
        self._skipped += seconds
