"""A poller killed again and again on a failing service: its history is the undisturbed one.

Two pollers watch the same runs over HTTP. Of one, 30 % of the answers are refused, failing,
truncated, stale or late, and it is killed and restarted; the other has neither. What both record
is compared, and held against what happened.
"""

import multiprocessing
import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from projections import Views
from projections.row_types import PhaseRow
from tests.support.killed_poller import THAT_IS_ALL, poll
from tests.support.pending_comparison import compare_pending
from tracker import open_event_store
from tracker.core import events as e
from tracker.core.decider import fold
from tracker.core.state import RunState
from tracker.core.status import is_ended
from tracker.event_store import RecordedEvent
from tracker.simulator import Faults, Parameters, Simulator, Truth

pytestmark = pytest.mark.integration

LIVES = Parameters(
    queued_median=0.5,
    queued_within=(0.3, 0.8),
    kinds=4,
    work_medians=(0.7, 1.5),
    work_sigma=0.3,
    stretched=0.0,
    action=0.5,
    max_actions=2,
    # Stamps are whole seconds: they do not tell of a pause within one.
    answer_median=1.6,
    answer_sigma=0.3,
    answer_within=(1.2, 3.0),
    unanswered=0.06,
    failed=0.1,
    incomplete=0.05,
    cancelled=0.08,
    endless=0.04,
    expires_after=7.0,
)
KEY, SPARED = "key-4f1d9c22b7-killed", "key-4f1d9c22b7-unharmed"
KINDS = {
    "refused": {"rate_limited": 0.02, "rate_limited_silently": 0.01},
    "failing": {
        "server_error": 0.02,
        "bad_gateway": 0.01,
        "unavailable": 0.01,
        "overloaded": 0.01,
        "reset": 0.03,
        "malformed": 0.01,
        "html": 0.01,
        "empty": 0.01,
    },
    "truncated": {"truncated": 0.03, "cut": 0.03},
    "stale": {"stale": 0.03, "repeated": 0.03},
    # About half a second; a page of several runs is later than the poller waits for it.
    "late": {"slow_drip": 0.04},
}
FAULTS = Faults(
    **{fault: share for kind in KINDS.values() for fault, share in kind.items()},  # type: ignore[arg-type]
    retry_after=0.2,
    drip_bytes=300,
    drip_pause=0.15,
    stale_seconds=6.0,
    spared=SPARED,
)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.killed_poller"])

Histories = dict[str, list[e.Event]]


@dataclass(frozen=True)
class KillPlan:
    """How often to kill, after how many seconds each time, and how often a run begins."""

    kills: int
    after: tuple[float, float]
    every: float


SQLITE = KillPlan(20, (0.1, 1.0), 0.15)
# Whoever comes next waits for the leases of the one that was killed.
POSTGRESQL = KillPlan(2, (3.0, 8.0), 0.4)


class PolledRuns:
    """A simulator's runs, and processes that poll them."""

    def __init__(self, simulator: Simulator, listed: Path, chance: random.Random) -> None:
        self._simulator = simulator
        self._listed = listed
        self._chance = chance
        self._shared = [simulator.create_thread() for _ in range(2)]
        listed.touch()

    def start(self, url: str, key: str) -> ForkServerProcess:
        arguments = (url, self._simulator.base_url, key, self._listed)
        process = PROCESSES.Process(target=poll, args=arguments)
        process.start()
        return process

    def create(self) -> None:
        """A run on a thread of its own, or on one of those that are asked about by the page."""
        thread = self._chance.choice([*self._shared, None, None])
        run = self._simulator.create_run(thread, f"asst_{self._chance.randrange(4)}")
        self.append_line(f"{run.thread_id} {run.run_id}")

    def append_line(self, line: str) -> None:
        with self._listed.open("a") as file:
            file.write(f"{line}\n")

    def kill(self, url: str, plan: KillPlan) -> None:
        """Starts and kills a poller as often as told, while runs begin."""
        for _ in range(plan.kills):
            process = self.start(url, KEY)
            until = time.monotonic() + self._chance.uniform(*plan.after)
            while time.monotonic() < until:
                self.create()
                time.sleep(plan.every)
            process.kill()
            process.join()
            assert process.exitcode == -9, "it had ended by itself"
            check_pending(url)


def check_pending(url: str) -> None:
    """Compares what the next start knows of open runs with a reading of all events."""
    now = datetime.now(UTC)
    with closing(open_event_store(url)) as store:
        compare_pending(store, now - timedelta(hours=24), now)


def finish(process: ForkServerProcess) -> None:
    process.join(90)
    code = process.exitcode
    process.kill()
    assert code == 0


def read_histories(url: str) -> Histories:
    """The events of each run."""
    store = open_event_store(url)
    recorded = store.read_all(limit=1_000_000)
    store.close()
    check_places(recorded, url)
    found: Histories = {}
    for entry in recorded:
        if not isinstance(entry.event, e.ConfigurationRecorded):
            found.setdefault(entry.stream.removeprefix("assistants:"), []).append(entry.event)
    return found


def check_places(recorded: Sequence[RecordedEvent], url: str) -> None:
    positions = [entry.position for entry in recorded]
    assert positions == sorted(set(positions))
    # PostgreSQL gives no number twice, not even one whose transaction came to nothing.
    assert url.startswith("postgresql") or positions == list(range(1, len(recorded) + 1))
    versions: dict[str, int] = {}
    for entry in recorded:
        assert entry.version == versions.get(entry.stream, 0) + 1
        versions[entry.stream] = entry.version


def transitions(events: Sequence[e.Event]) -> list[tuple[str, e.Change]]:
    """The statuses that a history goes through, and how it tells of each."""
    found: list[tuple[str, e.Change]] = []
    for event in events:
        if isinstance(event, e.RunCreated):
            found.append(("queued", event))
        elif isinstance(event, e.RunActionRequired):
            found.append(("requires_action", event))
        elif isinstance(event, e.RunStatusChanged | e.RunEnded):
            found.append((event.status, event))
    return found


def check_history(events: Sequence[e.Event], truth: Truth) -> int:
    """Each change happened, once and in this order, and was seen after it; gives how many lack.

    None lacks at either end. The server's stamp of a change is that of the one that it is.
    """
    told, happened = transitions(events), list(truth.transitions)
    story = "\n".join(f"{event!r}" for event in events) + f"\nbut {happened}"
    assert (told[0][0], told[-1][0]) == ("queued", truth.status), story
    rest = iter(happened)
    for status, event in told:
        stamp, seen = event.occurred_at, event.observed_at.timestamp()
        assert any(
            status == real
            and moment <= seen
            and (stamp is None or int(moment) == stamp.timestamp())
            for real, moment in rest
        ), f"{status} is invented, or told twice:\n{story}"
    return len(happened) - len(told)


def fold_final(events: Sequence[e.Event]) -> RunState:
    """What is known of a run in the end, whichever way it was learnt."""
    state = fold(events)._replace(
        observed_at=None,
        last_event_at=None,
        asked_at=None,
        past=frozenset(),
        resumed=False,
        version=0,
    )
    first = events[0]
    assert isinstance(first, e.RunCreated)
    # A service shows no expires_at any more once the run has ended.
    return state._replace(expires_at=None) if is_ended(first.status) else state


def check_finals(killed: RunState, unharmed: RunState, truth: Truth) -> None:
    if None in (killed.expires_at, unharmed.expires_at):
        killed, unharmed = killed._replace(expires_at=None), unharmed._replace(expires_at=None)
    assert killed == unharmed
    assert (killed.status, killed.usage) == (truth.status, truth.usage)


def steps_of(events: Sequence[e.Event]) -> dict[str, e.RunStepRecorded]:
    steps = [event for event in events if isinstance(event, e.RunStepRecorded)]
    by_id = {step.step_id: step.model_copy(update={"observed_at": None}) for step in steps}
    assert len(by_id) == len(steps), "a step is there twice"
    return by_id


def pauses_of(url: str, run_ids: Sequence[str]) -> dict[str, list[PhaseRow]]:
    """The stays of each run in `requires_action`, by the tables."""
    with Views(url) as views:
        views.upgrade()
        views.catch_up()
        assert views.verify() == []
        return {
            it: [phase for phase in views.phases(it) if phase.status == "requires_action"]
            for it in run_ids
        }


def check_pauses(told: Sequence[PhaseRow], truth: Truth) -> None:
    """Steps have stamps of whole seconds: each pause is within its second, and its bounds hold."""
    pauses = true_pauses(truth)
    assert len(told) == len(pauses)
    for phase, (since, until) in zip(told, pauses, strict=True):
        assert phase.left_at is not None
        assert abs(phase.entered_at.timestamp() - since) < 1
        assert abs(phase.left_at.timestamp() - until) < 1
        assert phase.at_least_seconds is not None
        assert phase.at_most_seconds is not None
        assert phase.at_least_seconds <= until - since <= phase.at_most_seconds


def true_pauses(truth: Truth) -> list[tuple[float, float]]:
    return [
        (since, until)
        for (status, since), (_, until) in pairwise(truth.transitions)
        if status == "requires_action"
    ]


@pytest.mark.kills
def test_a_killed_poller_records_what_an_unharmed_one_does(
    database_url: str, tmp_path: Path
) -> None:
    seed = random.randrange(100_000)
    plan = SQLITE if database_url.startswith("sqlite") else POSTGRESQL
    unharmed_url = f"sqlite:///{tmp_path}/unharmed.db"
    with Simulator(seed=seed, parameters=LIVES, faults=FAULTS, many_active=True) as simulator:
        polled = PolledRuns(simulator, tmp_path / "listed", random.Random(seed))
        unharmed_process = polled.start(unharmed_url, SPARED)
        try:
            polled.kill(database_url, plan)
            polled.append_line(THAT_IS_ALL)
            finish(polled.start(database_url, KEY))
            # Steps whose reading was given up are read by the next.
            finish(polled.start(database_url, KEY))
            finish(unharmed_process)
        finally:
            unharmed_process.kill()
        truths = {run_id: simulator.truth(run_id) for run_id in simulator.run_ids()}
        for kind, faults in KINDS.items():
            # A few hundred requests may miss a kind of 3 %.
            if plan is SQLITE:
                assert sum(simulator.traffic[fault] for fault in faults) > 0, kind

    killed, unharmed = read_histories(database_url), read_histories(unharmed_url)
    assert killed.keys() == unharmed.keys() == truths.keys()
    left_out = [0, 0]
    for run_id, truth in truths.items():
        left_out[0] += check_history(killed[run_id], truth)
        left_out[1] += check_history(unharmed[run_id], truth)
        check_finals(fold_final(killed[run_id]), fold_final(unharmed[run_id]), truth)
        assert steps_of(killed[run_id]) == steps_of(unharmed[run_id])
        assert steps_of(killed[run_id]).keys() == {step.id for step in truth.steps}
    for url in (database_url, unharmed_url):
        for run_id, pauses in pauses_of(url, list(truths)).items():
            check_pauses(pauses, truths[run_id])
    # 30 % of its answers and most of its processes were lost: states are, and not many.
    assert sum(left_out) < 0.5 * sum(len(truth.transitions) for truth in truths.values())
