"""One simulation: chaos, then peace, then the laws."""

from __future__ import annotations

import asyncio
import random as global_random
import shutil
import time
from collections.abc import Sequence
from contextvars import Context
from pathlib import Path
from random import Random

from tests.simulation.database import Database
from tests.simulation.journal import Journal
from tests.simulation.laws import Laws
from tests.simulation.monkey import Monkey
from tests.simulation.outcome import Outcome
from tests.simulation.process import Process
from tests.simulation.program import Program
from tests.simulation.reader import Reader
from tests.simulation.service import Service
from tests.simulation.simulated_loop import SimulatedLoop
from tests.simulation.swarm import Swarm
from tracker.core.events import Event, run_stream

SOURCE = "assistants"
# Seconds of peace that are left to everything to finish, beside the time that runs may take.
_PEACE_SECONDS = 900.0
# A run that was not found, or that the service refused, is looked at again within this time.
_SECOND_LOOK_SECONDS = 4300.0
_SETTLING_SECONDS = 30.0
_LEAVING_SECONDS = 200.0
_DELIVERY_SECONDS = 30.0


class Simulation:
    """The world of one seed: processes, a database, a service, and what happens to them."""

    def __init__(
        self,
        seed: int,
        minutes: float,
        swarm: Swarm,
        folder: Path,
        template: Path,
        *,
        is_verbose: bool = False,
    ) -> None:
        self.seed, self.minutes, self.swarm = seed, minutes, swarm
        # The product draws from the common source too, as when polls are spread.
        global_random.seed(seed)
        self.loop = SimulatedLoop(self.random("threads"))
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self._on_error)
        self.journal = Journal(self.loop.time, is_verbose=is_verbose)
        # True while there are faults.
        self.is_chaos = True
        # For each tracker that was left in peace, whether all steps were read by then.
        self.drained: list[bool] = []
        # The runs that the application knows of, with their threads.
        self.watch_list: dict[str, str] = {}
        self.deliveries: list[tuple[str, int]] = []
        # When each run was last shown by itself.
        self.polled: dict[str, float] = {}
        self.programs: list[Program] = []
        # Of the clocks of processes that start.
        self.offset = 0.0
        path = folder / "runs.db"
        shutil.copy(template, path)
        self.database = Database(self, path)
        self.service = Service(self)
        self.reader = Reader(self)

    def random(self, name: str) -> Random:
        """Returns a source of randomness of the seed for one purpose."""
        return Random(f"{self.seed}:{name}")

    def hits(self, random: Random, fault: str, scale: float = 1.0) -> bool:
        """True if a fault happens now, by its chance."""
        chance = getattr(self.swarm, fault) * scale
        return bool(chance) and self.is_chaos and random.random() < chance

    def run(self) -> Outcome:
        """Runs the simulation. Returns its outcome."""
        began = time.process_time()
        try:
            self.loop.run_until_complete(self._main())
            Laws(self).check()
        except Exception as error:
            self.journal.breaks("the simulation ends", repr(error))
        journal = self.journal
        return Outcome(
            seed=self.seed,
            hours=self.loop.time() / 3600,
            cpu=time.process_time() - began,
            runs=len(self.service.world.runs),
            events=self.database.committed,
            kills=journal.counts["kills"],
            faults=sum(journal.faults.values()),
            checked=journal.checked,
            trace=journal.trace,
            broken=journal.broken,
            counts=dict(journal.counts + journal.faults),
            swarm=self.swarm,
        )

    def kill(self, process: Process) -> None:
        """Kills a process; another one takes its place a while later."""
        process.kill()
        self.journal.counts["kills"] += 1
        self.journal.note("kill", process.name)
        program = next((it for it in self.programs if it.process is process), None)
        if program is not None:
            self.start_later(program, self.random(f"restart {process.name}").expovariate(0.2))

    def start_later(self, program: Program, seconds: float) -> None:
        """Starts a process in place of another."""
        if program.is_replaced:
            return
        program.is_replaced = True
        place, _, number = program.process.name.partition(".")
        name = f"{place}.{int(number) + 1}"
        # Not as code of the process that was killed in the middle of a call.
        self.loop.call_later(seconds, self._start, name, program, context=Context())

    def check_stored(self, run_id: str, events: Sequence[Event]) -> None:
        """Checks that events that a call returned are durable."""
        stored = [it.event for it in self.database.open_store().read(run_stream(SOURCE, run_id))]
        for it in events:
            self.journal.check("returned events are durable", it in stored, (run_id, it))

    def _start(
        self, name: str, previous: Program | None = None, *, only_delivers: bool = False
    ) -> Program:
        process = Process(name, self.loop)
        process.offset, process.drift = self.offset, self.swarm.drift
        program = Program(self, process, only_delivers=only_delivers)
        if previous is not None:
            self.programs.remove(previous)
        self.programs.append(program)
        process.run(program.main())
        self.journal.note("start", name)
        return program

    async def _main(self) -> None:
        for number in range(self.swarm.trackers):
            self._start(f"tracker {number + 1}.1")
        if self.swarm.views:
            Process("reader", self.loop).run(self.reader.main())
        await Monkey(self).run(self.minutes * 60)
        self.is_chaos = False
        self.journal.note("peace")
        self.service.down_until = self.service.keyless_until = -1.0
        for program in self.programs:
            if program.process.is_paused:
                program.process.resume()
        await self._wait_for_ends()
        await asyncio.sleep(_SETTLING_SECONDS)
        for program in self.programs:
            program.leave()
        await asyncio.sleep(_LEAVING_SECONDS)
        await self._deliver_the_rest()

    async def _deliver_the_rest(self) -> None:
        """Starts one more process: what others record while they are left is for it to deliver."""
        if self.swarm.handlers:
            last = self._start("last.1", only_delivers=True)
            await asyncio.sleep(_DELIVERY_SECONDS)
            last.leave()
            await asyncio.sleep(_LEAVING_SECONDS)

    async def _wait_for_ends(self) -> None:
        seconds = self.swarm.expires_after + _PEACE_SECONDS
        if self.swarm.missing or self.swarm.outages or self.swarm.garbage:
            seconds += _SECOND_LOOK_SECONDS
        deadline, named = self.loop.time() + seconds, self.loop.time() + 60
        while self.loop.time() < deadline:
            await asyncio.sleep(5)
            if self.loop.time() > named:
                named = deadline
                self._name_again()
            if all(run_stream(SOURCE, it) in self.database.ended for it in self.watch_list):
                return

    def _name_again(self) -> None:
        """Has the application name the runs of which nothing is recorded."""
        for run_id, thread_id in self.watch_list.items():
            program = next((it for it in self.programs if it.is_up), None)
            if program is not None and run_stream(SOURCE, run_id) not in self.database.recorded:
                program.watch(thread_id, run_id)

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if "never retrieved" in str(context.get("message")) and isinstance(error, Exception):
            self.journal.counts[f"not retrieved {type(error).__name__}"] += 1
            return
        self.journal.breaks("nothing fails unseen", f"{context.get('message')} {error!r}")
