"""The network between one process and the service."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx

from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

# True for requests of the application itself, which no limit of the tracker holds.
IS_OWN: ContextVar[bool] = ContextVar("is_own", default=False)
# The longest hold that a service can ask for.
_LONGEST_HOLD = 120.0
# A hold begins when the refusal arrives, and clocks are compared as floats.
_TOLERANCE = 0.001
_WINDOW = 10.0


class Wire(httpx.AsyncBaseTransport):
    """Brings requests to the service, and checks that they keep its limits."""

    def __init__(self, simulation: Simulation, process: Process) -> None:
        self._simulation, self._process = simulation, process
        self._random = simulation.random("network")
        # Until when a path is not to be asked again, by the last refusal of it.
        self._held: dict[str, float] = {}
        self._sent: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns the answer of the service, late or never."""
        simulation, random, is_own = self._simulation, self._random, IS_OWN.get()
        self._check(request, is_own=is_own)
        if simulation.hits(random, "refused_connections"):
            await asyncio.sleep(0.001)
            simulation.journal.fault("refused connection")
            raise httpx.ConnectError("injected")
        latency = 0.03 + random.expovariate(40)
        if simulation.hits(random, "slow_answers"):
            latency = random.choice((1.0, 5.0, 40.0))
            simulation.journal.fault("slow answer")
        await asyncio.sleep(latency / 2)
        reply = simulation.service.answer(
            request.method, request.url.path, dict(request.url.params), request.content
        )
        await asyncio.sleep(latency / 2)
        if reply.is_lost:
            simulation.journal.fault("lost answer")
            raise random.choice((httpx.ReadError, httpx.RemoteProtocolError))("injected")
        if reply.status == 429 and not is_own:
            self._hold(request.url.path, reply.headers)
        return httpx.Response(
            reply.status, headers=reply.headers, stream=httpx.ByteStream(reply.body)
        )

    def _check(self, request: httpx.Request, *, is_own: bool) -> None:
        journal, now = self._simulation.journal, self._simulation.loop.time()
        journal.counts["requests"] += 1
        journal.note("request", self._process.name, request.method, request.url.path)
        if is_own:
            return
        path = request.url.path
        early = self._held.get(path, 0.0) - now
        journal.check(
            "holds are kept",
            early <= _TOLERANCE,
            f"{path} is asked {early:.2f} s too early",
        )
        ceiling = self._simulation.swarm.ceiling
        if ceiling:
            self._sent = [at for at in self._sent if at > now - _WINDOW] + [now]
            most = ceiling * (_WINDOW + 1) + 2
            journal.check(
                "the ceiling of requests is kept",
                len(self._sent) <= most,
                f"{len(self._sent)} requests within {_WINDOW} s, at most {most} may be",
            )

    def _hold(self, path: str, headers: dict[str, str]) -> None:
        wait = 0.0
        if path.endswith("/runs"):
            # Pages, new runs and backfills of a thread are asked for apart from one another.
            return
        if "retry-after-ms" in headers:
            wait = float(headers["retry-after-ms"]) / 1000
        elif headers.get("retry-after", "").isdigit():
            wait = float(headers["retry-after"])
        if wait:
            self._held[path] = self._simulation.loop.time() + min(wait, _LONGEST_HOLD)
