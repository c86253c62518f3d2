"""What the world does to the trackers: load, acts of the application, and faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation.program import Program
from tracker import Tracker
from tracker.simulator.model.records import RunRecord
from tracker.webhooks import sign

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_PAUSES = (0.5, 5.0, 7.0, 12.0, 60.0)
_JUMPS = (-3600.0, -60.0, -5.0, -0.3, 0.3, 5.0, 60.0, 3600.0)
_OUTAGES = (3.0, 20.0, 90.0)


class Monkey:
    """Acts at random moments, each kind at its own rate and by draws of its own."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._number = 0

    async def run(self, seconds: float) -> None:
        """Acts for so many seconds."""
        swarm = self._simulation.swarm
        acts: dict[str, tuple[float, Callable[[Random], None]]] = {
            "runs": (swarm.runs_rate, self._start_run),
            "documents": (swarm.documents, self._observe),
            "webhooks": (swarm.webhooks, self._deliver_webhook),
            "cancels": (swarm.cancels, self._cancel),
            "updates": (swarm.updates, self._update),
            "backfills": (swarm.backfills, self._backfill),
            "kills": (swarm.kills, self._kill),
            "pauses": (swarm.pauses, self._pause),
            "leaves": (swarm.leaves, self._leave),
            "clock_jumps": (swarm.clock_jumps, self._set_clock),
            "outages": (swarm.outages, self._take_down),
            "keyless": (swarm.keyless, self._refuse_key),
        }
        tasks = [
            asyncio.create_task(self._repeat(self._simulation.random(name), rate, act))
            for name, (rate, act) in acts.items()
            if rate
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()

    async def _repeat(self, random: Random, rate: float, act: Callable[[Random], None]) -> None:
        while True:
            await asyncio.sleep(random.expovariate(rate))
            act(random)

    def _choose_program(self, random: Random) -> Program | None:
        up = [it for it in self._simulation.programs if it.is_up]
        return random.choice(up) if up else None

    def _choose_run(self, random: Random, newest: int) -> RunRecord | None:
        runs = list(self._simulation.service.world.runs.values())[-newest:]
        return random.choice(runs) if runs else None

    def _start_run(self, random: Random) -> None:
        simulation = self._simulation
        world, now = simulation.service.world, simulation.service.now()
        threads = list(world.threads)
        if threads and random.random() < simulation.swarm.shared_threads:
            thread_id = random.choice(threads[-20:])
        else:
            thread_id = world.create_thread(now).id
        assistant_id = f"asst_{random.randrange(6)}"
        is_ours, program = random.random() < 0.5, self._choose_program(random)
        if is_ours and program is not None:

            async def create(tracker: Tracker) -> None:
                run = await tracker.runs.create(
                    thread_id, assistant_id=assistant_id, metadata={"number": "1"}
                )
                simulation.watch_list[run.id] = thread_id

            program.act(create)
            return
        run = world.create_run(now, thread_id, {"assistant_id": assistant_id})
        simulation.watch_list[run.id] = thread_id
        if program is not None:
            program.watch(thread_id, run.id)

    def _observe(self, random: Random) -> None:
        simulation, program = self._simulation, self._choose_program(random)
        run, age = self._choose_run(random, 30), random.choice((0, 0, 0.5, 3, 20, 100))
        at, times = simulation.service.now() - age, 1 + (random.random() < 0.3)
        if program is None or run is None or at < run.created_at:
            return
        body = simulation.service.document(run, at)
        simulation.watch_list.setdefault(run.id, run.thread_id)

        async def observe(tracker: Tracker) -> None:
            for _ in range(times):
                events = await asyncio.to_thread(tracker.observe, dict(body))
                simulation.check_stored(run.id, events)

        program.act(observe)

    def _deliver_webhook(self, random: Random) -> None:
        """Delivers a webhook that names a run or contains it: late, and once or twice."""
        simulation, program = self._simulation, self._choose_program(random)
        run, age = self._choose_run(random, 30), random.choice((0, 0.5, 3, 20, 100))
        at, times, is_whole = (
            simulation.service.now() - age,
            random.choice((1, 1, 2)),
            random.random(),
        )
        if program is None or run is None or at < run.created_at:
            return
        body = simulation.service.document(run, at)
        self._number += 1
        data = body if is_whole < 0.5 else {"id": run.id, "thread_id": run.thread_id}
        event: dict[str, Any] = {"type": f"thread.run.{body['status']}", "data": data}
        content = json.dumps({"id": f"evt_{self._number}", "object": "event", **event}).encode()
        headers = sign(
            content, _SECRET, f"wh_{self._number}", program.process.now().astimezone(UTC)
        )
        simulation.watch_list.setdefault(run.id, run.thread_id)

        async def deliver(tracker: Tracker) -> None:
            for _ in range(times):
                await tracker.webhook(content, headers, secret=_SECRET)

        program.act(deliver)

    def _cancel(self, random: Random) -> None:
        program, run = self._choose_program(random), self._choose_run(random, 10)
        if program is not None and run is not None:
            program.act(lambda tracker: tracker.runs.cancel(run.thread_id, run.id))

    def _update(self, random: Random) -> None:
        program, run = self._choose_program(random), self._choose_run(random, 10)
        self._number += 1
        metadata = {"number": str(self._number)}
        if program is not None and run is not None:
            program.act(
                lambda tracker: tracker.runs.update(run.thread_id, run.id, metadata=metadata)
            )

    def _backfill(self, random: Random) -> None:
        program, run = self._choose_program(random), self._choose_run(random, 100)
        if program is not None and run is not None:
            program.act(lambda tracker: tracker.backfill(run.thread_id))

    def _kill(self, random: Random) -> None:
        alive = [it.process for it in self._simulation.programs if not it.process.is_dead]
        if alive:
            self._simulation.journal.fault("kill")
            self._simulation.kill(random.choice(alive))

    def _pause(self, random: Random) -> None:
        program, seconds = self._choose_program(random), random.choice(_PAUSES)
        if program is not None:
            self._simulation.journal.fault("pause")
            program.process.pause()
            self._simulation.loop.call_later(seconds, program.process.resume)

    def _leave(self, random: Random) -> None:
        program = self._choose_program(random)
        if program is not None:
            self._simulation.journal.fault("leave")
            program.leave()
            self._simulation.start_later(program, random.expovariate(0.2))

    def _set_clock(self, random: Random) -> None:
        programs, jump = self._simulation.programs, random.choice(_JUMPS)
        self._simulation.journal.fault("clock jump")
        for program in programs:
            program.process.offset += jump
        self._simulation.offset += jump

    def _take_down(self, random: Random) -> None:
        simulation = self._simulation
        simulation.journal.fault("outage")
        simulation.service.down_until = simulation.loop.time() + random.choice(_OUTAGES)

    def _refuse_key(self, random: Random) -> None:
        simulation = self._simulation
        simulation.journal.fault("key refused")
        simulation.service.keyless_until = simulation.loop.time() + random.choice(_OUTAGES)
