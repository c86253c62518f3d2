"""Lock of an SQLite file: a second tracker is refused, with the name of the first."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.tracker_settings import PLAIN, QUICK
from tracker import Tracker
from tracker.errors import AlreadyPolled, StoreUnavailable
from tracker.simulator import Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

HOLDER = """
import asyncio, sys
from tracker import Tracker
from tracker.sources import Assistants

async def hold():
    async with Tracker(sys.argv[1], Assistants("http://127.0.0.1:9/v1", "key-4f1d9c22b7")):
        print("holding", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


def make_tracker(
    url: str, base_url: str = "http://127.0.0.1:9/v1", *, resume: bool = True
) -> Tracker:
    api = Assistants(base_url=base_url, api_key="key-4f1d9c22b7")
    return Tracker(url, api, cadence=QUICK, resume=resume)


async def enter(tracker: Tracker) -> None:
    async with tracker:
        pass


def test_another_process_is_refused_until_the_holder_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], cwd=ROOT, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holding\n"
        with pytest.raises(AlreadyPolled) as refused:
            asyncio.run(enter(make_tracker(url)))
        said = re.fullmatch(
            rf"{tmp_path}/runs\.db is polled by another tracker "
            rf"\(process {holder.pid} on {socket.gethostname()}, since (.+?)\): ask that one.*",
            str(refused.value),
        )
        assert said is not None, str(refused.value)
        assert said[1].startswith("20")
        assert said[1].endswith("+00:00")
        holder.kill()
    assert holder.returncode == -signal.SIGKILL
    asyncio.run(enter(make_tracker(url)))


def test_another_tracker_of_the_process_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def twice() -> None:
        async with make_tracker(url):
            with pytest.raises(AlreadyPolled, match=f"process {os.getpid()} "):
                await enter(make_tracker(url))
        async with make_tracker(url):
            pass

    asyncio.run(twice())


def test_one_run_can_be_watched_beside_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def watch_beside(base_url: str, thread: str, run: str) -> None:
        async with make_tracker(url, base_url), make_tracker(url, base_url, resume=False) as second:
            await second.watch(thread, run)
            assert (await second.wait(run, timeout=300)).status == "completed"

    with Simulator(parameters=PLAIN) as simulator:
        thread = simulator.create_thread()
        asyncio.run(watch_beside(simulator.base_url, thread, simulator.create_run(thread).run_id))


def test_a_file_beside_that_is_none_of_ours_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs.db-tracker").write_text("not a database, but something of mine\n" * 50)
    with pytest.raises(StoreUnavailable, match=r"runs\.db-tracker cannot be used, delete it"):
        asyncio.run(enter(make_tracker(f"sqlite:///{tmp_path}/runs.db")))


def test_a_link_to_the_file_has_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    url, link = f"sqlite:///{tmp_path}/data/runs.db", tmp_path / "runs.db"
    link.symlink_to(tmp_path / "data" / "runs.db")

    async def scenario() -> None:
        async with make_tracker(url):
            with pytest.raises(AlreadyPolled):
                await enter(make_tracker(f"sqlite:///{link}"))

    asyncio.run(scenario())
