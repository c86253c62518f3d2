"""What `runfold doctor` says."""

from __future__ import annotations

from rich.text import Text

from projections.diagnosis import Diagnosis
from tracker.cli.tables import print_json, print_rows
from tracker.cli.terminal import console, visible


def print_diagnosis(diagnosis: Diagnosis, *, json: bool) -> None:
    """Prints how the tables are; for people with a line for each thing that needs a hand."""
    if json:
        print_json(
            {
                **diagnosis._asdict(),
                "schema": diagnosis.schema._asdict(),
                "projections": [it._asdict() for it in diagnosis.projections],
                "healthy": diagnosis.is_healthy,
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


def _say(line: str) -> None:
    console().print(Text(visible(line)))
