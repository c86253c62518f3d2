"""The simulated service: the operations of the simulator, with faults, and its truth."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.process import START
from tracker.simulator.api.operations import OPERATIONS, ApiRequest, Operation, retrieve_run
from tracker.simulator.api.payloads import run_body
from tracker.simulator.model.errors import Refused
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.truth import Truth, build_truth
from tracker.simulator.model.world import World

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

_ROUTES = [
    (method, re.compile("^/v1" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$"), operation)
    for method, path, operation in OPERATIONS
]
_STATUSES = {"invalid": 400, "unknown": 404, "key": 401}
# Requests that may come at once, of a limit.
_BURST = 20.0


class Reply(NamedTuple):
    """The answer to a request; one that is lost was given, and never arrives."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_lost: bool = False


class Service:
    """A service with the Assistants and the Responses API."""

    def __init__(self, simulation: Simulation) -> None:
        swarm = simulation.swarm
        self._simulation, self._random = simulation, simulation.random("service")
        parameters = Parameters(
            expires_after=swarm.expires_after,
            endless=swarm.endless,
            action=swarm.action,
            cancelled=0.03,
            failed=0.06,
            incomplete=0.04,
            answers="client" if swarm.client_answers else "others",
            answer_within=(1.0, 60.0),
            stretched_to=120.0,
        )
        self.world = World(simulation.seed, parameters, many_active=True)
        # Until when it is down, and until when it refuses the key.
        self.down_until = self.keyless_until = -1.0
        self._tokens, self._filled_at = _BURST, 0.0

    def now(self) -> float:
        """Returns the time by the clock of the service, in unix seconds."""
        simulation = self._simulation
        return START.timestamp() + simulation.loop.time() + simulation.swarm.skew

    def truth(self, run: RunRecord) -> Truth:
        """Returns the true history of a run until now."""
        return build_truth(run, self.world.get_life(run), self.now())

    def document(self, run: RunRecord, at: float) -> dict[str, Any]:
        """Returns a run as it was shown at a moment."""
        body = run_body(run, self.world.get_life(run), at)
        return self._keep_start(run, body) if self._simulation.swarm.keeps_started_at else body

    def answer(self, method: str, path: str, query: Mapping[str, str], content: bytes) -> Reply:
        """Returns the answer to a request."""
        simulation, random, now = self._simulation, self._random, self.now()
        swarm, is_chaos, passed = simulation.swarm, simulation.is_chaos, simulation.loop.time()
        date = datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"date": date, "content-type": "application/json"}
        if passed < self.down_until:
            return self._refuse(headers, 503, "down")
        if passed < self.keyless_until:
            return self._refuse(headers, 401, "invalid_api_key")
        if not self._has_room(headers, passed):
            return self._refuse(headers, 429, "rate_limit_exceeded")
        if simulation.hits(random, "refusals"):
            return self._refuse(headers, 429, "rate_limit_exceeded")
        if simulation.hits(random, "server_errors"):
            return self._refuse(headers, random.choice((500, 502, 503, 529, 408)), "oops")
        if method == "GET" and simulation.hits(random, "missing"):
            return self._refuse(headers, 404, "No run found")
        route = _find_route(method, path)
        if route is None:
            return self._refuse(headers, 404, "nowhere")
        operation, names = route
        age = 0.0
        if method == "GET" and is_chaos:
            if swarm.lag and int(passed / 97) % 3 == 0 and random.random() < 0.7:
                age = swarm.lag
            elif simulation.hits(random, "stale_reads"):
                age = random.uniform(0, 20)
        document = json.loads(content or b"{}")
        request = ApiRequest(now, names, query, document, age=age)
        try:
            body = operation(self.world, request)
        except Refused as refused:
            return Reply(_STATUSES[refused.kind], headers, json.dumps(refused.body()).encode())
        if swarm.keeps_started_at:
            for it in body.get("data", [body]):
                if it.get("object") == "thread.run":
                    self._keep_start(self.world.runs[it["id"]], it)
        if operation is retrieve_run:
            simulation.polled[body["id"]] = passed
        is_lost = simulation.hits(random, "lost_answers")
        raw = json.dumps(body).encode()
        if not is_lost and method == "GET" and simulation.hits(random, "garbage"):
            return self._spoil(headers, body, raw)
        return Reply(200, headers, raw, is_lost)

    def _keep_start(self, run: RunRecord, body: dict[str, Any]) -> dict[str, Any]:
        """Shows the first start of a run, as look-alikes do that never overwrite it."""
        if body.get("started_at"):
            changes = self.world.get_life(run).transitions
            body["started_at"] = int(next(it.at for it in changes if it.status == "in_progress"))
        return body

    def _has_room(self, headers: dict[str, str], passed: float) -> bool:
        limit = self._simulation.swarm.limit
        if not limit or not self._simulation.is_chaos:
            return True
        self._tokens = min(_BURST, self._tokens + (passed - self._filled_at) * limit / 60)
        self._filled_at = passed
        headers["x-ratelimit-remaining-requests"] = str(int(self._tokens))
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refuse(self, headers: dict[str, str], status: int, code: str) -> Reply:
        self._simulation.journal.fault(f"status {status}")
        if status == 429:
            kind = self._simulation.swarm.retry_after
            if kind == "seconds":
                headers["retry-after"] = self._random.choice(("1", "7"))
            elif kind == "date":
                later = datetime.fromtimestamp(self.now() + 5, UTC)
                headers["retry-after"] = later.strftime("%a, %d %b %Y %H:%M:%S GMT")
            elif kind == "milliseconds":
                headers["retry-after-ms"] = "2500"
        error = {"message": code, "type": "error", "code": code, "param": None}
        return Reply(status, headers, json.dumps({"error": error}).encode())

    def _spoil(self, headers: dict[str, str], body: dict[str, Any], raw: bytes) -> Reply:
        kind = self._random.randrange(5)
        if kind == 0:
            raw = raw[: self._random.randrange(len(raw))]
        elif kind == 1:
            raw, headers["content-type"] = b"<html>hello</html>", "text/html"
        elif kind == 2:
            raw = b""
        elif kind == 3:
            raw = json.dumps({**body, "id": "run_of_somebody_else"}).encode()
        else:
            raw = b'{"error": {"message": "as a success"}}'
        return Reply(200, headers, raw)


def _find_route(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    for each, pattern, operation in _ROUTES:
        if each == method and (found := pattern.match(path)):
            return operation, found.groupdict()
    return None
