"""Limits of bodies, by source and request: memory up to the cap, time up to the deadline."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from tests.support.faulty_server import GZIP, bomb, drips, pours, served, whole, writes
from tests.support.paths import ROOT
from tracker.sources import AgentTurns, Assistants, LangGraph, Responses

pytestmark = pytest.mark.integration

KINDS = (Assistants, Responses, AgentTurns, LangGraph)
RUN_MB, PAGE_MB = 2, 8
# Those of the smaller cap first: memory is measured by its peak.
CAPS = {"fetch": RUN_MB, "fetch_page": PAGE_MB, "fetch_runs": PAGE_MB, "fetch_steps": PAGE_MB}
REQUESTS = [f"{kind.__name__}.{name}" for name in CAPS for kind in KINDS if hasattr(kind, name)]
DEADLINE = 0.4
# What a connection and the allocator take beside the body.
SLACK = 6_000_000

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]

# Told the service, a deadline and requests: makes each once for little, then for much, and says
# how much more memory it took at its peak, how many seconds, how many of the processor, and what
# came of it.
MEASURED = """
import asyncio, json, resource, sys, time
from tracker import sources
from tracker.errors import SourceError

MORE = {"fetch": ["run_1"], "fetch_page": [100], "fetch_steps": ["run_1"]}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def error_of(url, deadline, request):
    kind, name = request.split(".")
    async with getattr(sources, kind)(url, deadline=deadline) as source:
        try:
            await getattr(source, name)("thread_1", *MORE.get(name, []))
        except SourceError as error:
            return str(error)

async def main(url, deadline, *requests):
    for request in requests:
        await error_of(url + "/little", 200.0, request)
    before, costs = peak(), []
    for request in requests:
        began, spent = time.monotonic(), time.process_time()
        said = await error_of(url + "/much", float(deadline), request)
        took = time.monotonic() - began, time.process_time() - spent
        costs.append([peak() - before, *took, said])
    print(json.dumps(costs))

asyncio.run(main(*sys.argv[1:]))
"""


class Cost(NamedTuple):
    """The cost of one request, in bytes and seconds, and its error."""

    memory: int
    seconds: float
    processor: float
    said: str


def measure_costs(handler: Handler, deadline: float) -> dict[str, Cost]:
    """Returns the cost of each request that `handler` answers."""

    async def main() -> bytes:
        async def answers(writer: asyncio.StreamWriter) -> None:
            await (handler if b"/much/" in heads[-1] else writes(whole(b"{}")))(writer)

        async with served(answers) as (url, heads):
            arguments = (MEASURED, url, str(deadline), *REQUESTS)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await asyncio.wait_for(process.communicate(), 600)
            return said

    measured = json.loads(asyncio.run(main()))
    return {request: Cost(*cost) for request, cost in zip(REQUESTS, measured, strict=True)}


def test_each_source_is_asked_in_each_of_its_ways() -> None:
    assert {request.split(".")[0] for request in REQUESTS} == {kind.__name__ for kind in KINDS}
    assert len(REQUESTS) == 11


@pytest.mark.parametrize("fault", ["pours", "bomb"])
def test_a_body_of_400_mb_costs_its_cap(fault: str) -> None:
    handler = pours if fault == "pours" else writes(whole(bomb(), GZIP))
    for request, cost in measure_costs(handler, 200.0).items():
        cap = CAPS[request.split(".")[1]]
        assert f"larger than {cap} MB" in cost.said, request
        assert cost.memory < cap * 1_000_000 + SLACK, request
        assert cost.processor < 10.0, request


def test_a_slow_drip_costs_the_deadline() -> None:
    for request, cost in measure_costs(drips, DEADLINE).items():
        assert f"no whole answer in {DEADLINE:g} s" in cost.said, request
        assert DEADLINE <= cost.seconds < DEADLINE + 60, request
        assert cost.memory < SLACK, request
