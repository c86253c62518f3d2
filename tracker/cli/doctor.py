"""`runfold doctor`: checks the tables and the services that trackers poll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from tracker.cli.deliveries import list_failing
from tracker.cli.options import DEFAULT_DB, Db, Json, PriceSettings, Tz

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from projections.maintenance.diagnosis import Diagnosis
    from tracker.heartbeats.heartbeat import Heartbeat

_PROJECTION_COLUMNS = (
    *("name", "state", "version", "needed_version"),
    *("position", "lag", "rebuilt_to"),
)
_NAMED_RUNS = 20
_SOURCE_COLUMNS = (
    *("source", "worker", "state", "rate", "watched", "due", "waiting", "asked", "refused"),
    *("failed", "detection_seconds", "answered_at"),
)


_NAMED_RUNS = 5


def doctor(
    tz: Tz = "UTC", json: Json = False, prices: PriceSettings = None, db: Db = DEFAULT_DB
) -> None:
    """Check the tables and the services that trackers poll.

    Prints the cure for each problem. The exit code is 1 if there is one.
    """
    from projections import Views
    from projections.queries.grouping import time_zone
    from tracker.cli.views import read_prices
    from tracker.delivery.ledger import find_ledger
    from tracker.event_store import open_event_store
    from tracker.event_store.anomalies import find_shared_ids
    from tracker.heartbeats.table import heartbeats_in

    with Views(db, prices=read_prices(prices)) as views:
        diagnosis = views.doctor()
    store = open_event_store(db, create=False)
    try:
        heartbeats = heartbeats_in(store)
        shared_ids = find_shared_ids(store)
        ledger = find_ledger(store)
        failing = [] if ledger is None else list_failing(ledger.read_all())
    finally:
        store.close()
    if json:
        _print_document(diagnosis, heartbeats, shared_ids, failing)
    else:
        zone = time_zone(tz)
        _print_diagnosis(diagnosis, zone)
        if shared_ids:
            _print_line(_describe_shared_ids(shared_ids))
        _print_heartbeats(heartbeats)
        _print_failing(failing, zone)
    raise typer.Exit(0 if _is_healthy(diagnosis, heartbeats, failing) else 1)


def describe_peculiarities(counts: Mapping[str, int]) -> str:
    """Describes the peculiarities of answers with their counts, most frequent first."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{count:,} with {name.replace('_', ' ')}" for name, count in ordered)


def _is_healthy(
    diagnosis: Diagnosis, heartbeats: Sequence[Heartbeat], failing: Sequence[Mapping[str, Any]]
) -> bool:
    is_well = diagnosis.is_healthy and all(it.is_well for it in heartbeats)
    # A run that is tried again may succeed; a parked one waits for somebody.
    return is_well and not any(it["state"] == "parked" for it in failing)


def _print_document(
    diagnosis: Diagnosis,
    heartbeats: Sequence[Heartbeat],
    shared_ids: Sequence[str],
    failing: Sequence[Mapping[str, Any]],
) -> None:
    from tracker.cli.tables import print_json

    sources = [{**it._asdict(), "state": it.state, "advice": it.advice} for it in heartbeats]
    print_json(
        {
            **asdict(diagnosis),
            "sources": sources,
            "shared_ids": list(shared_ids),
            "deliveries": list(failing),
            "healthy": _is_healthy(diagnosis, heartbeats, failing),
        }
    )


def _describe_shared_ids(streams: Sequence[str]) -> str:
    more = len(streams) - _NAMED_RUNS
    names = ", ".join(streams[:_NAMED_RUNS]) + (f" and {more:,} more" if more > 0 else "")
    return f"runs on other threads came with the ids of these, and are not recorded: {names}"


def _print_diagnosis(diagnosis: Diagnosis, zone: ZoneInfo) -> None:
    from projections.queries.grouping import in_zone
    from tracker.cli.tables import print_rows

    schema = diagnosis.schema
    _print_line(f"tables: {schema.state}, at {schema.found or 'nothing'}, needed {schema.needed}")
    _print_line(f"events: last position {diagnosis.last_position:,}")
    if diagnosis.pruned_before is not None:
        moment = f"{in_zone(diagnosis.pruned_before, zone):%Y-%m-%d %H:%M:%S %Z}"
        _print_line(f"pruned: runs that ended before {moment}")
    rows = [
        {name: getattr(it, name) for name in _PROJECTION_COLUMNS} for it in diagnosis.projections
    ]
    print_rows("projections", rows)
    if schema.cure is not None:
        _print_line(f"tables: {schema.state}; cure: {schema.cure}")
    for run in diagnosis.set_aside[:_NAMED_RUNS]:
        names = ", ".join(run.projections)
        _print_line(f"{run.run_key}: set aside, left out of {names}: {run.reason}")
        _print_line(f"{run.run_key}: cure: {run.cure}")
    if diagnosis.runs_set_aside > _NAMED_RUNS:
        more = diagnosis.runs_set_aside - _NAMED_RUNS
        _print_line(f"{more:,} more runs are set aside; cure: runfold retry")
    for it in diagnosis.projections:
        if it.failure is not None:
            _print_line(f"{it.name}: {it.failure}")
        if it.cure is not None:
            _print_line(f"{it.name}: {it.state}; cure: {it.cure}")


def _print_heartbeats(heartbeats: Sequence[Heartbeat]) -> None:
    from tracker.cli.tables import print_rows

    if not heartbeats:
        _print_line("sources: no tracker polls for this database now")
        return
    rows = [{name: getattr(it, name) for name in _SOURCE_COLUMNS} for it in heartbeats]
    print_rows("sources", rows)
    for it in heartbeats:
        name = f"{it.source} ({it.worker})"
        if it.advice is not None:
            _print_line(f"{name}: {it.advice}")
        if it.clock_ahead_at_least is not None and it.clock_ahead_at_most is not None:
            bounds = f"{it.clock_ahead_at_least:+.2f} to {it.clock_ahead_at_most:+.2f} s"
            _print_line(f"{name}: its clock is {bounds} ahead of ours, by the stamps of its runs")
        elif it.clock_ahead:
            side = "ahead of" if it.clock_ahead > 0 else "behind"
            offset = f"{abs(it.clock_ahead):.0f} s {side} ours"
            _print_line(f"{name}: its clock is {offset}, which is taken into account")
        if it.peculiarities:
            described = describe_peculiarities(it.peculiarities)
            _print_line(f"{name}: accepted answers that are not as documented: {described}")


def _print_failing(failing: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> None:
    from projections.queries.grouping import in_zone

    for it in failing[:_NAMED_RUNS]:
        key, since = it["run_key"], in_zone(it["failing_since"], zone)
        _print_line(
            f"{key}: {it['state']} since {since:%Y-%m-%d %H:%M:%S %Z}, after "
            f"{it['attempts']:,} attempts of the handlers {it['name']!r}: {it['error']}"
        )
        if it["state"] == "parked":
            _print_line(f"{key}: cure: runfold deliveries retry {key.partition(':')[2]}")
    if len(failing) > _NAMED_RUNS:
        more = len(failing) - _NAMED_RUNS
        _print_line(f"{more:,} more runs that handlers failed with; see runfold deliveries")


def _print_line(line: str) -> None:
    from rich.text import Text

    from tracker.cli.terminal import escape_controls, stdout_console

    stdout_console().print(Text(escape_controls(line)))
