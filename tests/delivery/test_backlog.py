"""The backlog: whatever happens, no event is lost, each run keeps its order, and little repeats."""

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.undelivered_events import AT
from tracker.core.events import Event
from tracker.delivery.backlog import Backlog, Entry, PendingRun, Save, Stage
from tracker.delivery.handlers import Delivery
from tracker.delivery.ledger import MemoryLedger

SHARDS, RUNS, NAME = 2, 5, "handlers"


def delivery(run: int, version: int, position: int) -> Delivery:
    return Delivery("s", "", f"run_{run}", position, version, Event(observed_at=AT))


class World:
    """Events, a ledger, and two workers that deliver, are killed, and hand shards over."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.ledger.create(NAME, SHARDS, 0)
        self.events: list[Delivery] = []
        self.versions: Counter[int] = Counter()
        # The versions that were handled, each with the number of kills before.
        self.done: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.owners = [0, 1]
        self.kills = 0
        self.workers = [Worker(self, 0), Worker(self, 1)]

    def append(self, run: int) -> None:
        self.versions[run] += 1
        self.events.append(delivery(run, self.versions[run], len(self.events) + 1))

    def hand_over(self, shard: int) -> None:
        giver = self.workers[self.owners[shard]]
        giver.backlog.withdraw([shard])
        if giver.backlog.list_idle([shard]):
            giver.backlog.drop([shard])
            self.owners[shard] = 1 - self.owners[shard]
            self.workers[self.owners[shard]].claim([shard])


class Worker:
    """One process."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.lives = world, number, 0
        self.start()

    def start(self) -> None:
        self.lives += 1
        self.holder = f"{self.number}-{self.lives}"
        self.backlog = Backlog()
        self.running: list[PendingRun] = []
        self.save: Save | None = None
        self.claim([it for it, owner in enumerate(self.world.owners) if owner == self.number])

    def claim(self, shards: list[int]) -> None:
        positions, rows = self.world.ledger.claim(NAME, shards, self.holder)
        for shard, position in positions.items():
            self.backlog.gain(shard, position, [it for it in rows if it.shard == shard])

    def read(self) -> None:
        events = self.world.events[self.backlog.position :][:3]
        page = [
            Entry(it.position, f"s:{it.run_id}", int(it.run_id[-1]) % SHARDS, it) for it in events
        ]
        self.backlog.add(page, events[-1].position if events else self.backlog.position)

    def take(self) -> None:
        run = self.backlog.take()
        if run is None:
            return
        if not run.is_loaded:
            known = self.backlog.find_known(run.shard)
            self.backlog.prepare_loading(run)
            events = [
                it
                for it in self.world.events
                if f"s:{it.run_id}" == run.stream
                and it.version >= run.version
                and it.position <= known
            ]
            if not self.backlog.load(run, events):
                return
        self.running.append(run)

    def finish(self, choice: int, *, fails: bool, parks: bool = False) -> None:
        if not self.running:
            return
        run = self.running.pop(choice % len(self.running))
        if self.backlog.runs.get(run.stream) is not run:
            self.backlog.release(run.stream)
        elif fails:
            self.backlog.fail(run, ValueError(), "no", 0.0)
            self.backlog.hold_back(run, park=parks)
        else:
            done = (run.deliveries[0].version, self.world.kills)
            self.world.done[run.stream].append(done)
            self.backlog.acknowledge(run)

    def retry(self) -> None:
        for run in list(self.backlog.failing.values()):
            self.backlog.retry(run)
        self.world.ledger.retry()
        standing = self.world.ledger.read(NAME)
        assert standing is not None
        self.backlog.resume(it for it in standing.runs if not it.is_parked)

    def begin_save(self, *, everything: bool) -> None:
        if self.save is None:
            self.save = self.backlog.plan(everything=everything)

    def end_save(self, *, works: bool) -> None:
        save, self.save = self.save, None
        if save is None:
            return
        if not works:
            self.backlog.keep(save)
            return
        assert self.world.ledger.save(NAME, self.holder, save) == set()
        self.backlog.confirm(save)


# The share of each step; the rest are new events.
STEPS = {
    "read": 10,
    "take": 16,
    "succeed": 12,
    "fail": 6,
    "park": 2,
    "retry": 5,
    "plan": 10,
    "plan all": 6,
    "store": 14,
    "cannot store": 2,
    "hand over": 6,
    "kill": 2,
    "append": 20,
}


@given(st.integers(0, 2**32))
def test_nothing_is_lost_each_run_keeps_its_order_and_a_kill_repeats_one(seed: int) -> None:
    chance, world = Random(seed), World()
    for step in chance.choices(list(STEPS), list(STEPS.values()), k=250):
        worker, choice = chance.choice(world.workers), chance.randrange(100)
        match step:
            case "append":
                world.append(choice % RUNS)
            case "read":
                worker.read()
            case "take":
                worker.take()
            case "succeed" | "fail" | "park":
                worker.finish(choice, fails=step != "succeed", parks=step == "park")
            case "retry":
                worker.retry()
            case "plan" | "plan all":
                worker.begin_save(everything=step == "plan all")
            case "store" | "cannot store":
                worker.end_save(works=step == "store")
            case "hand over":
                world.hand_over(choice % SHARDS)
            case "kill":
                world.kills += 1
                worker.start()
    drain(world)
    for run, number in world.versions.items():
        done = world.done[f"s:run_{run}"]
        assert {version for version, _ in done} == set(range(1, number + 1))
        for (before, kills), (version, later_kills) in pairwise(done):
            # The next one, or after a kill, the last one again.
            assert version == before + 1 or (version == before and later_kills > kills)


def drain(world: World) -> None:
    """Lets both workers finish all that there is."""
    for _ in range(60 + 12 * len(world.events)):
        for worker in world.workers:
            worker.end_save(works=True)
            worker.retry()
            worker.read()
            worker.take()
            worker.finish(0, fails=False)
            worker.begin_save(everything=True)
            worker.end_save(works=True)
        for shard, owner in enumerate(world.owners):
            # One that is leaving completes its handover.
            if shard in world.workers[owner].backlog._leaving:
                world.hand_over(shard)
    for worker in world.workers:
        worker.end_save(works=True)
        worker.begin_save(everything=True)
        worker.end_save(works=True)
        assert worker.backlog.runs == {}
        assert worker.backlog.events == 0
        assert worker.backlog.is_saved
    standing = world.ledger.read(NAME)
    assert standing is not None
    assert (standing.position, standing.runs) == (len(world.events), [])


def test_rows_are_no_more_than_runs_that_are_under_way_or_failed() -> None:
    world = World()
    world.owners = [0, 0]
    worker = world.workers[0]
    worker.start()
    for number in range(60):
        world.append(number % RUNS)
    slow = None
    for _ in range(200):
        worker.read()
        worker.take()
        if worker.running and slow is None:
            slow = worker.running.pop()
        worker.finish(0, fails=False)
        worker.begin_save(everything=False)
        worker.end_save(works=True)
        standing = world.ledger.read(NAME)
        assert standing is not None
        assert len(standing.runs) <= RUNS
    # The checkpoint is past all others, and a row says what is not done.
    assert slow is not None
    assert slow.stage is Stage.RUNNING
    standing = world.ledger.read(NAME)
    assert standing is not None
    [row] = standing.runs
    assert (row.stream, row.version, standing.position) == (slow.stream, 1, 0)
    positions, _ = world.ledger.claim(NAME, [0, 1], "another")
    assert set(positions.values()) == {60}
