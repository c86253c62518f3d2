"""`runfold replay`: steps through the history of one run, as long as it took or faster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.history import format_details, format_time, print_chart
from tracker.cli.options import DEFAULT_DB, Db

if TYPE_CHECKING:
    from projections import RunHistory


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="NAME", help="Source of the run, if several have this id."
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="X", min=0.001, help="Speed of time; 60 is a minute a second.")
    ] = 1.0,
    step: Annotated[bool, typer.Option("--step", help="Wait for Enter before each event.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Step through the events of a run, with its status and phases after each.

    The pauses between them are those of then, by our clock; `--speed` makes them shorter.
    """
    from rich.text import Text

    from tracker.cli.terminal import UNKNOWN, escape_controls, stdout_console
    from tracker.cli.views import open_current_views

    with open_current_views(db) as views:
        history = views.history(run, source)
    out = stdout_console()
    title = f"{history.run_key}, thread {history.run.thread_id or UNKNOWN}"
    out.print(Text(escape_controls(title), style="bold"))
    shown_at = history.events[0].event.observed_at
    for past in history.replay():
        moment = past.events[-1].event.observed_at
        if step and past.version > 1:
            typer.prompt("", default="", prompt_suffix="", show_default=False)
        elif not step and moment > shown_at:
            time.sleep((moment - shown_at).total_seconds() / speed)
        shown_at = max(shown_at, moment)
        out.print(_make_line(past))
    out.print()
    print_chart(list(history.phases))


def _make_line(past: RunHistory) -> object:
    from rich.text import Text

    from tracker.cli.durations import format_duration
    from tracker.cli.terminal import escape_controls

    event = past.events[-1].event
    seen = format_time(event.observed_at, past.run.created_at)
    phase = past.phases[-1]
    left = [
        f"{it.status} {format_duration(it.seconds, it.at_least_seconds, it.at_most_seconds)}"
        for it in past.phases
        if it.left_at is not None
    ]
    line = Text(f"{past.version:>3}  {seen}.{event.observed_at.microsecond // 1000:03}  ")
    line.append(type(event).__name__, style="bold")
    details = format_details(event)
    line.append(escape_controls(f"  {details}" if details else ""))
    told = "; ".join([*left, f"{phase.status} lasts" if phase.left_at is None else past.status])
    line.append(escape_controls(f"\n     {told}"), style="bright_black")
    return line
