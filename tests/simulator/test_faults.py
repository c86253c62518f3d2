"""Faults of the simulator from the view of a client, and starts and stops of its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tracker.errors import SettingsError
from tracker.simulator import Faults, ManualClock, Parameters, Simulator

pytestmark = pytest.mark.integration

LONG = Parameters.ending("completed", action=0, stretched=0, work_medians=(50.0, 50.0))


class Bench:
    """A simulator with one run, and a plain HTTP client."""

    def __init__(self, sim: Simulator, clock: ManualClock, client: httpx.Client) -> None:
        self.sim = sim
        self.clock = clock
        self.client = client
        self.run = sim.create_run()

    def get(self, **faults: Any) -> httpx.Response:
        self.sim.faults = Faults(**faults)
        return self.client.get(f"/threads/{self.run.thread_id}/runs/{self.run.run_id}")


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Simulator, ManualClock, httpx.Client]]:
    clock = ManualClock()
    with (
        Simulator(seed=3, clock=clock, parameters=LONG) as sim,
        httpx.Client(base_url=sim.base_url, timeout=300.0) as client,
    ):
        yield sim, clock, client


@pytest.fixture
def bench(shared: tuple[Simulator, ManualClock, httpx.Client]) -> Bench:
    return Bench(*shared)


def test_no_fault_gives_the_run(bench: Bench) -> None:
    answer = bench.get()
    assert answer.status_code == 200
    assert answer.json()["id"] == bench.run.run_id


def test_rate_limits_say_how_long_or_not(bench: Bench) -> None:
    told = bench.get(rate_limited=1.0, retry_after=2.5)
    assert told.status_code == 429
    assert told.headers["retry-after-ms"] == "2500"
    assert told.headers["retry-after"] == "2"
    assert told.json()["error"]["code"] == "rate_limit_exceeded"

    silent = bench.get(rate_limited_silently=1.0)
    assert silent.status_code == 429
    assert "retry-after" not in silent.headers


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        ("server_error", 500, "application/json"),
        ("bad_gateway", 502, "text/html"),
        ("unavailable", 503, "application/json"),
        ("overloaded", 529, "application/json"),
        ("html", 200, "text/html"),
    ],
)
def test_errors_and_pages(bench: Bench, fault: str, status: int, content_type: str) -> None:
    answer = bench.get(**{fault: 1.0})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(content_type)


def test_a_redirect(bench: Bench) -> None:
    answer = bench.get(redirect=1.0)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/health"


def test_a_reset_gives_no_answer(bench: Bench) -> None:
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        bench.get(reset=1.0)
    assert bench.get().status_code == 200


def test_a_truncated_answer_looks_whole(bench: Bench) -> None:
    whole = bench.get()
    half = bench.get(truncated=1.0)
    assert half.status_code == 200
    assert half.headers["connection"] == "close"
    assert len(half.content) < len(whole.content)
    with pytest.raises(ValueError, match="line 1"):
        half.json()


def test_a_cut_answer_is_shorter_than_announced(bench: Bench) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        bench.get(cut=1.0)


def test_malformed_and_empty_bodies(bench: Bench) -> None:
    for fault in ("malformed", "empty"):
        answer = bench.get(**{fault: 1.0})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        with pytest.raises(ValueError, match="line 1"):
            answer.json()


def test_a_wrong_id_is_of_another_run(bench: Bench) -> None:
    body = bench.get(wrong_id=1.0).json()
    assert body["id"] != bench.run.run_id
    assert body["thread_id"] != bench.run.thread_id


def test_a_slow_drip_is_whole_in_the_end(bench: Bench) -> None:
    began = time.monotonic()
    answer = bench.get(slow_drip=1.0, drip_bytes=400, drip_pause=0.05)
    assert answer.json()["id"] == bench.run.run_id
    assert time.monotonic() - began > 0.1


def test_huge_bodies_and_gzip_bombs_are_large(bench: Bench) -> None:
    huge = bench.get(huge=1.0, huge_bytes=3_000_000)
    assert len(huge.content) > 3_000_000
    assert huge.json()["id"] == bench.run.run_id

    bomb = bench.get(gzip_bomb=1.0, bomb_bytes=3_000_000)
    assert bomb.headers["content-encoding"] == "gzip"
    assert int(bomb.headers["content-length"]) < 60_000
    assert len(bomb.content) > 3_000_000


def test_stale_responses_show_an_earlier_state(bench: Bench) -> None:
    assert bench.get().json()["status"] == "queued"
    bench.clock.advance(5)
    assert bench.get(repeated=1.0).json()["status"] == "queued"
    assert bench.get().json()["status"] == "in_progress"
    assert bench.get(repeated=1.0).json()["status"] == "in_progress"

    seen = {bench.get(stale=1.0).json()["status"] for _ in range(30)}
    assert "queued" in seen
    assert bench.sim.truth(bench.run.run_id).status == "in_progress"


def test_a_refused_post_was_not_executed(bench: Bench) -> None:
    thread = bench.sim.create_thread()
    before = len(bench.sim.run_ids())
    bench.sim.faults = Faults(html=1.0)
    made = bench.client.post(f"/threads/{thread}/runs", json={"assistant_id": "asst_1"})
    assert made.headers["content-type"] == "application/json"
    assert len(bench.sim.run_ids()) == before + 1

    for fault in ("unavailable", "rate_limited", "redirect"):
        bench.sim.faults = Faults(**{fault: 1.0}, posts=True)  # type: ignore[arg-type]
        answer = bench.client.post("/threads/runs", json={"assistant_id": "asst_1"})
        assert not answer.is_success
    bench.sim.faults = Faults(reset=1.0, posts=True)
    with pytest.raises(httpx.TransportError):
        bench.client.post("/threads/runs", json={"assistant_id": "asst_1"})
    assert len(bench.sim.run_ids()) == before + 1

    bench.sim.faults = Faults(empty=1.0, posts=True)
    assert bench.client.post("/threads/runs", json={"assistant_id": "asst_1"}).content == b""
    assert len(bench.sim.run_ids()) == before + 2


def test_bad_requests_are_explained(bench: Bench) -> None:
    bench.sim.faults = Faults()
    bad = bench.client.post("/threads/runs", content=b"{nonsense")
    assert bad.status_code == 400
    assert "JSON" in bad.json()["error"]["message"]
    assert bench.client.post("/threads/runs", json={}).json()["error"]["param"] == "assistant_id"


def test_a_throttled_request_gets_a_retry_after() -> None:
    with Simulator(per_minute=60) as sim, httpx.Client(base_url=sim.base_url) as client:
        answers = []
        while not answers or (answers[-1].status_code != 429 and len(answers) < 1000):
            answers.append(client.post("/threads"))

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 0 < int(refused[0].headers["retry-after-ms"]) <= 1001
    assert answers[0].headers["x-ratelimit-limit-requests"] == "60"
    assert sim.traffic["throttled"] == len(refused)


def test_a_server_stops_at_once_with_connections_open() -> None:
    before = threading.active_count()
    with Simulator(clock=ManualClock(), parameters=LONG) as sim:
        run = sim.create_run()
        sim.faults = Faults(slow_drip=1.0, drip_bytes=1, drip_pause=100.0)
        url = f"{sim.base_url}/threads/{run.thread_id}/runs/{run.run_id}"
        with httpx.Client() as client, client.stream("GET", url) as answer:
            assert answer.status_code == 200
            began = time.monotonic()
            sim.__exit__(None, None, None)

    assert time.monotonic() - began < 60
    assert threading.active_count() == before


def test_a_simulator_can_serve_again_but_not_twice() -> None:
    sim = Simulator(clock=ManualClock())
    with sim, pytest.raises(SettingsError, match="is serving already"):
        sim.__enter__()
    with sim:
        assert httpx.get(sim.base_url.replace("/v1", "/health")).json() == {"status": "ok"}
        port = int(sim.base_url.split(":")[2].split("/")[0])
        with pytest.raises(SettingsError, match="cannot listen"):
            Simulator(port=port).__enter__()


def test_serving_alone_ends_quietly_when_interrupted() -> None:
    code = (
        "from tracker.simulator import serve\n"
        "serve(port=0, seed=4, speed=2.0, announce=lambda url: print(url, flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        base_url = process.stdout.readline().strip()
        assert httpx.post(f"{base_url}/threads").json()["object"] == "thread"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(120) == 0
        assert process.stderr.read() == ""
