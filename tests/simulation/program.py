"""The program of a process: an application with a tracker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from eventsourcing.persistence import PersistenceError

from tests.simulation.process import Process
from tests.simulation.wire import IS_OWN, Wire
from tracker import Tracker
from tracker.core.events import RunActionRequired
from tracker.delivery.handlers import Delivery
from tracker.errors import RunfoldError, SourceError, StoreUnavailable, UnknownRun
from tracker.sources import Assistants

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

_DRAIN_SECONDS = 120.0


class HandlerFailed(Exception):
    """A handler of the application failed."""


class Program:
    """Enters a tracker, and again after an error, until it is told to leave."""

    def __init__(self, simulation: Simulation, process: Process, *, only_delivers: bool) -> None:
        self.process, self._only_delivers = process, only_delivers
        # The tracker while it is open.
        self.tracker: Tracker | None = None
        # True once another process is to take its place.
        self.is_replaced = False
        self._simulation, self._random = simulation, simulation.random("program")
        self._leaving = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """True if the process runs and its tracker is open."""
        process = self.process
        return self.tracker is not None and not process.is_dead and not process.is_paused

    def leave(self) -> None:
        """Makes the program leave its tracker and end."""
        self._leaving.set()

    def act(self, work: Callable[[Tracker], Awaitable[object]]) -> None:
        """Lets the application do something with the tracker; it copes with the usual errors."""
        tracker, counts = self.tracker, self._simulation.journal.counts
        assert tracker is not None

        async def perform() -> None:
            IS_OWN.set(True)
            try:
                await work(tracker)
            except RunfoldError as error:
                counts[f"told {type(error).__name__}"] += 1
            except Exception as error:
                self._simulation.journal.breaks("calls raise documented errors", repr(error))

        self.process.run(perform())

    def watch(self, thread_id: str, run_id: str) -> None:
        """Has the tracker watch a run."""
        self.act(lambda tracker: tracker.watch(thread_id, run_id))

    async def main(self) -> None:
        """Runs the program."""
        journal = self._simulation.journal
        while not self._leaving.is_set():
            try:
                await self._track()
            except (RunfoldError, PersistenceError) as error:
                journal.note(self.process.name, "is not up:", type(error).__name__)
                await asyncio.sleep(1)
            except Exception as error:
                journal.breaks("the tracker raises documented errors", repr(error))
                await asyncio.sleep(1)
            finally:
                self.tracker = None
        journal.note(self.process.name, "has left")

    async def _track(self) -> None:
        simulation = self._simulation
        swarm, store = simulation.swarm, simulation.database.open_store()
        wire = Wire(simulation, self.process)
        api = Assistants("http://service/v1", "key-of-ours", clock=self.process, transport=wire)
        tracker = Tracker(
            store,
            api,
            clock=self.process,
            requests_per_second=swarm.ceiling or None,
            steps="never" if self._only_delivers else swarm.steps,
        )
        if swarm.handlers:
            tracker.on(name="all", since="start")(self._deliver)
        if swarm.client_answers:
            tracker.on(RunActionRequired, name="answers", since="start")(self._answer)
        async with tracker:
            self.tracker = tracker
            simulation.journal.note(self.process.name, "is up")
            await self._watch_again(tracker)
            await self._leaving.wait()
            if not simulation.is_chaos and not self._only_delivers:
                simulation.drained.append(await tracker.drain(_DRAIN_SECONDS))
            self.tracker = None

    async def _watch_again(self, tracker: Tracker) -> None:
        """Names the runs again of which nothing is recorded: they are the application's to know."""
        simulation = self._simulation
        for run_id, thread_id in list(simulation.watch_list.items()):
            try:
                tracker.history(run_id)
            except UnknownRun:
                await tracker.watch(thread_id, run_id)
            except StoreUnavailable:
                continue
        if simulation.swarm.watches_threads:
            for thread_id in list(simulation.service.world.threads)[-5:]:
                tracker.watch_thread(thread_id)

    async def _deliver(self, delivery: Delivery) -> None:
        simulation = self._simulation
        await asyncio.sleep(self._random.expovariate(200))
        if simulation.hits(self._random, "handler_fails"):
            simulation.journal.fault("handler failed")
            raise HandlerFailed("injected")
        simulation.deliveries.append((delivery.run_id, delivery.version))

    async def _answer(self, delivery: Delivery) -> None:
        """Answers the calls that a run waits for."""
        IS_OWN.set(True)
        tracker = self.tracker
        event, thread_id = delivery.event, delivery.thread_id
        if tracker is None or not isinstance(event, RunActionRequired) or event.inferred:
            return
        with suppress(SourceError):
            run = await tracker.runs.retrieve(str(thread_id), delivery.run_id)
            action = run.required_action
            submit = action.submit_tool_outputs if action is not None else None
            if run.status == "requires_action" and submit is not None:
                outputs = [{"tool_call_id": it.id, "output": "1"} for it in submit.tool_calls or ()]
                await tracker.runs.submit_tool_outputs(str(thread_id), run.id, outputs)
