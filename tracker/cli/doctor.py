"""What `runfold doctor` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from projections.maintenance.diagnosis import Diagnosis
from tracker.cli.tables import print_json, print_rows
from tracker.cli.terminal import console, visible
from tracker.heartbeats.heartbeat import Heartbeat

_SHOWN = (
    *("source", "worker", "state", "rate", "watched", "due", "waiting", "asked", "refused"),
    *("failed", "detection_seconds", "answered_at"),
)


def is_healthy(diagnosis: Diagnosis, heartbeats: Sequence[Heartbeat]) -> bool:
    """Whether neither the tables nor a source need a hand."""
    return diagnosis.is_healthy and all(it.is_well for it in heartbeats)


def print_diagnosis(diagnosis: Diagnosis, heartbeats: Sequence[Heartbeat], *, json: bool) -> None:
    """Prints how the tables and the sources are; a line for each thing that needs a hand."""
    if json:
        sources = [{**it._asdict(), "state": it.state, "advice": it.advice} for it in heartbeats]
        print_json(
            {
                **diagnosis._asdict(),
                "schema": diagnosis.schema._asdict(),
                "projections": [it._asdict() for it in diagnosis.projections],
                "sources": sources,
                "healthy": is_healthy(diagnosis, heartbeats),
            }
        )
        return
    schema = diagnosis.schema
    _say(f"tables: {schema.state}, at {schema.found or 'nothing'}, needed {schema.needed}")
    _say(f"events: last position {diagnosis.last_position:,}")
    if diagnosis.pruned_before is not None:
        _say(f"pruned: runs that ended before {diagnosis.pruned_before:%Y-%m-%d %H:%M:%S %Z}")
    shown = ("name", "state", "version", "needed_version", "position", "lag", "rebuilt_to")
    rows = [{name: getattr(it, name) for name in shown} for it in diagnosis.projections]
    print_rows("projections", rows)
    if schema.cure is not None:
        _say(f"tables: {schema.state}; cure: {schema.cure}")
    for it in diagnosis.projections:
        if it.failure is not None:
            _say(f"{it.name}: {it.failure}")
        if it.cure is not None:
            _say(f"{it.name}: {it.state}; cure: {it.cure}")
    _print_heartbeats(heartbeats)


def peculiar(counts: Mapping[str, int]) -> str:
    """What is peculiar about answers, in words, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{count:,} with {name.replace('_', ' ')}" for name, count in ordered)


def _print_heartbeats(heartbeats: Sequence[Heartbeat]) -> None:
    if not heartbeats:
        _say("sources: no tracker polls for this database now")
        return
    print_rows("sources", [{name: getattr(it, name) for name in _SHOWN} for it in heartbeats])
    for it in heartbeats:
        name = f"{it.source} ({it.worker})"
        if it.advice is not None:
            _say(f"{name}: {it.advice}")
        if it.clock_ahead:
            side = "ahead of" if it.clock_ahead > 0 else "behind"
            ahead = f"{abs(it.clock_ahead):.0f} s {side} ours"
            _say(f"{name}: its clock is {ahead}, which is allowed for")
        if it.peculiarities:
            told = peculiar(it.peculiarities)
            _say(f"{name}: answers taken in, unlike what is documented: {told}")


def _say(line: str) -> None:
    console().print(Text(visible(line)))
