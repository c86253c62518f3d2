"""Cost of a tracker for its service: the latency of requests, with and without runs.

The service is FastAPI in a process of its own, with the tracker on its loop or in a background
thread; the service that is polled is another process, with 100 active runs that come and go. One
client asks one request after another. With and without take turns, each in a fresh process.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tests.benchmarks.polled_service import Traffic, serve
from tests.benchmarks.report import machine, table, write

THINKING = 0.008
WAYS = {"on the loop": "loop", "in a background thread": "thread"}


@dataclass(frozen=True)
class Settings:
    """Active runs and rounds; in a round, so many seconds are measured after the `warm` ones."""

    active: int = 100
    rounds: int = 3
    seconds: float = 12.0
    warm: float = 10.0
    ways: Sequence[str] = tuple(WAYS)


FULL = Settings()
TINY = Settings(active=10, rounds=1, seconds=0.5, warm=0.2, ways=["on the loop"])


@dataclass
class Measured:
    """Latencies of requests in seconds, and what was polled meanwhile."""

    latencies: list[float] = field(default_factory=list)
    polls: int = 0
    active: list[int] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The latency, in milliseconds, that such a share of the requests stays below."""
        return sorted(self.latencies)[int(share * len(self.latencies))] * 1e3


@contextmanager
def polled(runs: int) -> Iterator[tuple[str, Connection]]:
    """A service with so many active runs, that tells of each."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, Traffic(max(runs, 1)), 1)
    process = context.Process(target=serve, args=arguments, daemon=True)
    process.start()
    try:
        _, base_url = ours.recv()
        yield base_url, ours
    finally:
        process.kill()
        process.join()


@contextmanager
def service(way: str, base_url: str) -> Iterator[int]:
    """The service with the tracker in it; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        app = f"tests.benchmarks.embedded_service:{WAYS[way]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "error"],
            env={**os.environ, "BASE_URL": base_url, "RUNFOLD_DB": f"sqlite:///{folder}/runs.db"},
        )
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def tell(port: int, channel: Connection, stop: threading.Event) -> None:
    """Has the service watch each run of the polled service, as it begins."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    while not stop.is_set():
        if channel.poll(0.1):
            _, thread_id, run_id = channel.recv()
            client.request("POST", f"/watch?thread_id={thread_id}&run_id={run_id}")
            client.getresponse().read()
    client.close()


def ask(client: http.client.HTTPConnection, path: str) -> dict[str, int]:
    """One request, answered."""
    client.request("GET", path)
    answer: dict[str, int] = json.loads(client.getresponse().read())
    return answer


def measure(way: str, runs: int, measured: Measured, settings: Settings) -> None:
    """Sends the requests of a round while the tracker watches so many runs, or none."""
    stop = threading.Event()
    with polled(runs) as (base_url, channel), service(way, base_url) as port:
        telling = threading.Thread(target=tell, args=(port, channel, stop))
        if runs:
            telling.start()
        client = http.client.HTTPConnection("127.0.0.1", port)
        until = time.monotonic() + settings.warm
        while time.monotonic() < until:
            ask(client, "/work")
        before = ask(client, "/counts")
        until = time.monotonic() + settings.seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            ask(client, "/work")
            measured.latencies.append(time.perf_counter() - began)
            time.sleep(THINKING)
        after = ask(client, "/counts")
        measured.polls += after["polls"] - before["polls"]
        measured.active.append(after["active"])
        client.close()
        stop.set()
        if runs:
            telling.join()


def main(settings: Settings = FULL) -> None:
    """Measures both ways, and prints a table."""
    rows = []
    for way in settings.ways:
        without, with_runs = Measured(), Measured()
        for _ in range(settings.rounds):
            measure(way, 0, without, settings)
            measure(way, settings.active, with_runs, settings)
        rows.append(
            (
                way,
                f"{len(with_runs.latencies):,}",
                f"{without.at(0.5):.1f}",
                f"{with_runs.at(0.5):.1f}",
                f"{without.at(0.99):.1f}",
                f"{with_runs.at(0.99):.1f}",
                f"{with_runs.at(0.99) - without.at(0.99):+.1f}",
                f"{with_runs.polls / settings.rounds / settings.seconds:.1f}",
                f"{sum(with_runs.active) / settings.rounds:.0f}",
            )
        )
    header = ("tracker", "requests", "p50 without, ms", "p50 with", "p99 without", "p99 with")
    runs = f"without and with {settings.active} active runs"
    title = f"A request of a service, {runs}. Aim: p99 below +10 ms"
    table(title, (*header, "rise", "polls a second", "active"), rows)


if __name__ == "__main__":
    write(machine())
    main()
    write(machine())
