"""The promises of the README, as laws over what was recorded and what was true."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from tests.second_fold.comparison import Comparison
from tracker.core.events import (
    Change,
    Event,
    RunActionRequired,
    RunCreated,
    RunEnded,
    RunReappeared,
    RunStatusChanged,
    RunStepRecorded,
    RunUsageReported,
    RunVanished,
    is_run_stream,
    run_stream,
)
from tracker.core.status import is_ended
from tracker.event_store import RecordedEvent
from tracker.simulator.model.truth import Truth

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

# Stamps are whole seconds.
_STAMP = 1.01


class Laws:
    """Checks the promises after a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._check = simulation, simulation.journal.check
        self._streams: dict[str, list[RecordedEvent]] = defaultdict(list)

    def check(self) -> None:
        """Checks all laws."""
        self._read()
        self._check_history()
        for run_id in self._simulation.watch_list:
            self._check_run(run_id, self._streams.get(run_stream("assistants", run_id), []))
        self._check_deliveries()
        self._check_tables()

    def _read(self) -> None:
        store, position = self._simulation.database.open_store(), 0
        while page := store.read_all(position, 5000):
            for it in page:
                self._check("positions go up", it.position > position, it)
                position = it.position
                self._streams[it.stream].append(it)

    def _check_history(self) -> None:
        database = self._simulation.database
        number = sum(map(len, self._streams.values()))
        self._check(
            "committed events stay",
            number == database.committed,
            f"{number} of {database.committed}",
        )
        for stream, entries in self._streams.items():
            versions = [it.version for it in entries]
            self._check(
                "versions have no gap",
                versions == list(range(1, len(entries) + 1)),
                (stream, versions),
            )
        rows = dict(database.read_states())
        for key, state in database.acknowledged.items():
            self._check("nothing acknowledged is lost", rows.get(key) == state, key)

    def _check_run(self, run_id: str, entries: list[RecordedEvent]) -> None:
        service = self._simulation.service
        truth = service.truth(service.world.runs[run_id])
        events = [it.event for it in entries]
        ends = [it for it in events if isinstance(it, RunEnded)]

        def show() -> str:
            names = [f"{type(it).__name__} {getattr(it, 'status', '')}".strip() for it in events]
            return f"{run_id}, truly {truth.transitions}: {names}"

        self._check("no run is forgotten", bool(ends) or not is_ended(truth.status), show())
        if not events:
            return
        created = [isinstance(it, RunCreated) for it in events]
        self._check("a run is created once, first", created[0] and sum(created) == 1, show())
        self._check("a run ends once", len(ends) <= 1, show())
        if ends:
            self._check_end(run_id, truth, events, ends[0], show())
        # A run that is shown in an earlier state may be at work again.
        if self._is_current:
            self._check_transitions(events, truth, show())
        self._check_steps(events, truth, show(), is_over=bool(ends))
        vanished = [it for it in events if isinstance(it, RunVanished | RunReappeared)]
        if ends and vanished:
            self._check(
                "a run that is seen again reappears",
                isinstance(vanished[-1], RunReappeared),
                show(),
            )
        if self._is_honest:
            for it in events:
                if isinstance(it, RunStatusChanged | RunActionRequired | RunEnded):
                    self._check_bounds(it, truth, show())

    @property
    def _is_honest(self) -> bool:
        """True if no clock was set or ran wrong, and no look was older than its request."""
        swarm = self._simulation.swarm
        return self._is_current and not (swarm.clock_jumps or swarm.drift)

    @property
    def _is_current(self) -> bool:
        """True if all that was seen was so when it was asked for."""
        swarm = self._simulation.swarm
        return not (swarm.stale_reads or swarm.lag or swarm.documents or swarm.webhooks)

    @property
    def _has_drained(self) -> bool:
        """True if all trackers had read all steps when they were left."""
        drained = self._simulation.drained
        return len(drained) == self._simulation.swarm.trackers and all(drained)

    def _check_end(
        self, run_id: str, truth: Truth, events: list[Event], end: RunEnded, shown: str
    ) -> None:
        self._check("the end is true", end.status == truth.status, shown)
        if end.occurred_at is not None and truth.ended_at is not None:
            late = end.occurred_at.timestamp() - truth.ended_at
            self._check("the time of the end is true", abs(late) < _STAMP, (late, shown))
        told = [it for it in events if isinstance(it, RunEnded | RunUsageReported)]
        usage = told[-1].usage
        self._check(
            "the usage is true",
            (usage.model_dump() if usage else None)
            == (truth.usage.model_dump() if truth.usage else None),
            (run_id, usage, truth.usage),
        )

    def _check_transitions(self, events: list[Event], truth: Truth, shown: str) -> None:
        """Checks that the statuses are some of the true ones, in order."""
        left = iter([status for status, _ in truth.transitions])
        for it in events:
            status = None
            if isinstance(it, RunActionRequired):
                # Another set of calls is an event too.
                status = "requires_action"
            elif isinstance(it, RunStatusChanged | RunEnded):
                status = it.status
            if status is not None:
                self._check(
                    "nothing is invented",
                    any(each == status for each in left),
                    (status, shown),
                )

    def _check_steps(self, events: list[Event], truth: Truth, shown: str, *, is_over: bool) -> None:
        steps = [it for it in events if isinstance(it, RunStepRecorded)]
        names = [it.step_id for it in steps]
        self._check("a step is recorded once", len(names) == len(set(names)), shown)
        true = {it.id: it for it in truth.steps}
        for step in steps:
            found = true.get(step.step_id)
            self._check(
                "a step is true",
                found is not None
                and (step.status, step.usage, step.tools)
                == (found.status, found.usage, found.tools),
                (step, found),
            )
        # An old list of steps cannot always be told from a whole one.
        if is_over and self._is_current and self._has_drained:
            ended = {it.id for it in truth.steps if it.ended_at is not None}
            self._check("all steps are recorded", ended == set(names), (ended ^ set(names), shown))

    def _check_bounds(self, event: Change, truth: Truth, shown: str) -> None:
        status = getattr(event, "status", "requires_action")
        skew = self._simulation.swarm.skew
        times = [at - skew for each, at in truth.transitions if each == status]
        stamp = event.occurred_at
        if stamp is not None:
            self._check(
                "stamps are true",
                any(int(at + skew) == stamp.timestamp() for at in times),
                (status, stamp, times, shown),
            )
        low = _seconds(event.not_before, 0.0)
        high = min(_seconds(event.observed_at, 0.0), _seconds(event.not_after, 1e12))
        self._check(
            "bounds hold the true moment",
            any(low - 1e-3 <= at <= high + 1e-3 for at in times),
            (status, low, high, times, event, shown),
        )

    def _check_deliveries(self) -> None:
        simulation = self._simulation
        if not simulation.swarm.handlers:
            return
        first: dict[str, list[int]] = defaultdict(list)
        for run_id, version in simulation.deliveries:
            if version not in first[run_id]:
                first[run_id].append(version)
        for stream, entries in self._streams.items():
            if not is_run_stream(stream):
                continue
            run_id = stream.partition(":")[2]
            heard, wanted = first.get(run_id, []), [it.version for it in entries]
            self._check(
                "each event is delivered, in order",
                heard == wanted,
                (stream, heard, wanted),
            )

    def _check_tables(self) -> None:
        simulation = self._simulation
        views = simulation.reader.open_views()
        views.catch_up()
        differences = views.verify()
        self._check("verify finds nothing", not differences, differences[:3])
        diagnosis = views.doctor()
        self._check("no run is set aside", not getattr(diagnosis, "set_aside", ()), diagnosis)
        store = simulation.database.open_store()
        if not simulation.journal.counts["prune"]:
            comparison = Comparison(simulation.seed, views, store, questions=2)
            comparison.ask("at the end")
            self._check(
                "the tables equal a second fold",
                not comparison.differences,
                comparison.differences[:3],
            )
        self._check_sums(sum(row.total_tokens or 0 for row in views.usage()))

    def _check_sums(self, total: int) -> None:
        simulation = self._simulation
        service, true = simulation.service, 0
        for stream in simulation.database.ended:
            run = service.world.runs.get(stream.partition(":")[2])
            usage = service.truth(run).usage if run is not None else None
            true += (usage.total_tokens or 0) if usage else 0
        self._check("the sums are true", total == true, (total, true))


def _seconds(moment: datetime | None, default: float) -> float:
    return default if moment is None else moment.timestamp()
