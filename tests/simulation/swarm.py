"""Settings of one simulation, drawn from its seed: the load, and the faults that are on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Swarm:
    """The load and the faults. The default of each fault is that it is off.

    Chances are shares from 0 to 1 of requests, calls or transactions, and rates are a second.
    """

    # The load. Several trackers share a database as they do on PostgreSQL.
    trackers: int = 1
    runs_rate: float = 0.1
    shared_threads: float = 0.0
    expires_after: float = 200.0
    endless: float = 0.01
    action: float = 0.3
    # The faults of the service and of the network.
    server_errors: float = 0.0
    refusals: float = 0.0
    retry_after: Literal["none", "seconds", "date", "milliseconds"] = "none"
    # Requests a minute, 0 for no limit.
    limit: float = 0.0
    missing: float = 0.0
    garbage: float = 0.0
    lost_answers: float = 0.0
    refused_connections: float = 0.0
    slow_answers: float = 0.0
    stale_reads: float = 0.0
    lag: float = 0.0
    outages: float = 0.0
    keyless: float = 0.0
    keeps_started_at: bool = False
    # The faults of the machine and of the database.
    kills: float = 0.0
    kills_in_statements: float = 0.0
    pauses: float = 0.0
    leaves: float = 0.0
    clock_jumps: float = 0.0
    # Seconds that the clock of the service is ahead.
    skew: float = 0.0
    drift: float = 0.0
    fails_before_commit: float = 0.0
    fails_after_commit: float = 0.0
    disk_full: float = 0.0
    # The acts of the application.
    documents: float = 0.0
    webhooks: float = 0.0
    cancels: float = 0.0
    updates: float = 0.0
    watches_threads: bool = False
    backfills: float = 0.0
    forgets: float = 0.0
    ceiling: float = 0.0
    steps: Literal["ended", "live"] = "ended"
    handlers: bool = False
    handler_fails: float = 0.0
    client_answers: bool = False
    # The read side.
    views: float = 0.0
    views_fail: float = 0.0
    views_killed: float = 0.0
    rebuilds: float = 0.0
    prunes: float = 0.0

    @property
    def on(self) -> dict[str, Any]:
        """The settings that are not the defaults."""
        default = Swarm()
        values = {it.name: getattr(self, it.name) for it in fields(self)}
        return {name: it for name, it in values.items() if it != getattr(default, name)}

    def without(self, names: list[str]) -> Swarm:
        """Returns these settings with some at their defaults."""
        default = Swarm()
        return replace(self, **{name: getattr(default, name) for name in names})


def draw_swarm(seed: int) -> Swarm:
    """Draws the settings of a seed."""

    def draw(name: str) -> Random:
        # One of its own for each, so that a new setting changes no other.
        return Random(f"{seed}:swarm:{name}")

    def some(name: str, chance: float, low: float, high: float) -> float:
        random = draw(name)
        return random.uniform(low, high) if random.random() < chance else 0.0

    return Swarm(
        trackers=draw("trackers").choice((1, 1, 2, 3)),
        runs_rate=draw("runs_rate").choice((0.02, 0.05, 0.15, 0.4)),
        shared_threads=draw("shared_threads").choice((0.0, 0.3, 0.8)),
        expires_after=draw("expires_after").choice((60.0, 200.0, 600.0)),
        endless=draw("endless").choice((0.01, 0.1)),
        action=draw("action").choice((0.1, 0.4, 0.7)),
        server_errors=some("server_errors", 0.5, 0.01, 0.3),
        refusals=some("refusals", 0.4, 0.01, 0.2),
        retry_after=draw("retry_after").choice(("none", "seconds", "date", "milliseconds")),
        limit=draw("limit").choice((0.0, 0.0, 60.0, 300.0, 1000.0)),
        missing=some("missing", 0.15, 0.002, 0.02),
        garbage=some("garbage", 0.5, 0.01, 0.2),
        lost_answers=some("lost_answers", 0.5, 0.01, 0.2),
        refused_connections=some("refused_connections", 0.4, 0.01, 0.2),
        slow_answers=some("slow_answers", 0.4, 0.005, 0.05),
        stale_reads=some("stale_reads", 0.4, 0.02, 0.3),
        lag=some("lag", 0.2, 2, 30),
        outages=some("outages", 0.4, 0.001, 0.01),
        keyless=some("keyless", 0.3, 0.001, 0.006),
        keeps_started_at=draw("keeps_started_at").random() < 0.15,
        kills=some("kills", 0.6, 0.002, 0.03),
        kills_in_statements=some("kills_in_statements", 0.3, 0.0005, 0.01),
        pauses=some("pauses", 0.4, 0.002, 0.015),
        leaves=some("leaves", 0.3, 0.002, 0.015),
        clock_jumps=some("clock_jumps", 0.25, 0.001, 0.01),
        skew=draw("skew").choice((0.0, 0.0, 0.0, 600.0, -600.0, 0.4)),
        drift=draw("drift").choice((0.0, 0.0, 0.0, 1e-4, -1e-4)),
        fails_before_commit=some("fails_before_commit", 0.5, 0.001, 0.05),
        fails_after_commit=some("fails_after_commit", 0.5, 0.001, 0.05),
        disk_full=some("disk_full", 0.2, 0.001, 0.005),
        documents=some("documents", 0.5, 0.01, 0.3),
        webhooks=some("webhooks", 0.3, 0.01, 0.2),
        cancels=some("cancels", 0.4, 0.005, 0.05),
        updates=some("updates", 0.3, 0.005, 0.05),
        watches_threads=draw("watches_threads").random() < 0.3,
        backfills=some("backfills", 0.2, 0.002, 0.01),
        ceiling=draw("ceiling").choice((0.0, 0.0, 2.0, 10.0)),
        steps=draw("steps").choice(("ended", "ended", "live")),
        handlers=draw("handlers").random() < 0.7,
        handler_fails=some("handler_fails", 0.4, 0.01, 0.2),
        client_answers=draw("client_answers").random() < 0.5,
        views=some("views", 0.8, 0.02, 0.2),
        views_fail=some("views_fail", 0.5, 0.01, 0.1),
        views_killed=some("views_killed", 0.4, 0.001, 0.01),
        rebuilds=some("rebuilds", 0.5, 0.02, 0.2),
        prunes=some("prunes", 0.3, 0.02, 0.1),
    )
