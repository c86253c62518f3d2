"""The Starlette application of the simulated service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracker.core.status import is_ended
from tracker.simulator.api.operations import (
    OPERATIONS,
    ApiRequest,
    Operation,
    retrieve_response,
    retrieve_run,
)
from tracker.simulator.http.fault_responses import (
    BrokenResponse,
    make_faulty_response,
    make_rejection,
)
from tracker.simulator.http.streaming import BREAKS_STREAM, STREAMING, EventStream
from tracker.simulator.model.errors import Refused
from tracker.simulator.model.faults import REJECTIONS, STALE_ANSWERS
from tracker.simulator.model.service import Service, read_key

_POLLS = (retrieve_run, retrieve_response)
_STATUS = {"invalid": 400, "unknown": 404, "key": 401}

Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(
    service: Service, operations: Sequence[tuple[str, str, Operation]] = OPERATIONS
) -> Starlette:
    """Builds the application of a service, with its operations under /v1."""
    routes = [
        Route(f"/v1{path}", _make_endpoint(service, operation), methods=[method])
        for method, path, operation in operations
    ]
    routes.append(Route("/health", _health, methods=["GET"]))
    routes.append(Route("/{rest:path}", _reject_path, methods=["GET", "POST", "DELETE", "PUT"]))
    return Starlette(routes=routes)


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _reject_path(request: Request) -> Response:
    error = Refused(f"Invalid URL ({request.method} {request.url.path})", kind="unknown")
    return JSONResponse(error.body(), 404)


def _make_endpoint(service: Service, operation: Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        content = await request.body()
        if service.latency:
            await asyncio.sleep(service.latency)

        with service.lock:
            response = _answer(service, operation, request, content)
            if not isinstance(response, BrokenResponse):
                service.traffic[str(response.status_code)] += 1
        return response

    return endpoint


def _answer(service: Service, operation: Operation, request: Request, content: bytes) -> Response:
    number, request_id = service.count_request()
    now = service.clock.now()
    headers = {"date": formatdate(now, usegmt=True), "x-request-id": request_id}
    faults = service.faults

    if service.throttle is not None:
        wait = service.throttle.consume(asyncio.get_running_loop().time())
        headers |= service.throttle.headers(wait)
        if wait:
            service.traffic["throttled"] += 1
            headers |= {"retry-after-ms": str(int(wait * 1000) + 1)}
            return make_rejection("rate_limited_silently", faults, headers)

    key = read_key(request.headers.get("authorization"), request.headers.get("api-key"))
    is_exempt = key is not None and key == faults.spared
    fault = None if is_exempt else faults.draw(service.world.seed, number, request.method)
    if fault is not None:
        service.traffic[fault] += 1
    if fault in REJECTIONS:
        return make_rejection(fault, faults, headers)

    try:
        service.check_key(key)
        api_request = ApiRequest(
            now=now,
            path=request.path_params,
            query=request.query_params,
            body=_parse(content),
            version="v1" if "v1" in request.headers.get("openai-beta", "") else "v2",
            age=_draw_age(service, operation, request, fault, now, number),
        )
        body = operation(service.world, api_request)
    except Refused as error:
        return JSONResponse(error.body(), _STATUS[error.kind], headers)

    if operation in _POLLS:
        service.world.find(body["id"]).last_polled_at = api_request.at
        if service.poll_after_ms is not None and not is_ended(body["status"]):
            headers["openai-poll-after-ms"] = str(service.poll_after_ms)

    if (
        api_request.body.get("stream")
        and operation in STREAMING
        and fault in (None, *BREAKS_STREAM)
    ):
        return EventStream(
            service, body["id"], now, api_request.version, headers, breaks=fault is not None
        )

    if fault is not None and fault not in STALE_ANSWERS:
        return make_faulty_response(fault, faults, body, headers)
    return JSONResponse(body, 200, headers)


def _draw_age(
    service: Service,
    operation: Operation,
    request: Request,
    fault: str | None,
    now: float,
    number: int,
) -> float:
    """Returns the age of the data in the response, in simulated seconds."""
    if fault == "stale":
        return service.faults.age(service.world.seed, number)
    if fault == "repeated" and operation in _POLLS:
        polled = request.path_params.get("run_id") or request.path_params["response_id"]
        run = service.world.runs.get(polled) or service.world.responses.get(polled)
        if run is not None and run.last_polled_at is not None:
            return now - run.last_polled_at
    return 0.0


def _parse(content: bytes) -> dict[str, Any]:
    if not content.strip():
        return {}

    try:
        body = json.loads(content)
    except ValueError:
        raise Refused("The body of the request is not JSON.") from None
    if not isinstance(body, dict):
        raise Refused("The body of the request is not a JSON object.")
    return body
