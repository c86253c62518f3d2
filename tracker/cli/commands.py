"""The command table of `runfold`: each command under its heading in `--help`.

The name of a function is the name of its command, with hyphens, and its docstring is the help
text, which is why it is in the imperative.

The modules of the commands import what is heavy inside their functions, so that one command loads
only its own libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from tracker.cli.backfill import backfill
from tracker.cli.dashboard.report import report
from tracker.cli.dashboard.serve import serve
from tracker.cli.dashboard.top import top
from tracker.cli.deliveries import deliveries
from tracker.cli.demo import demo, simulate
from tracker.cli.doctor import doctor
from tracker.cli.exit_codes import CommandGroup, PlainCommand
from tracker.cli.export import export
from tracker.cli.history import history, replay
from tracker.cli.import_ import import_
from tracker.cli.maintenance import catch_up, follow, forget, prune, rebuild, retry, upgrade, verify
from tracker.cli.queries import actions, cost, runs, status, stuck, timing, usage
from tracker.cli.watch import watch

COMMANDS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Try it": (demo, simulate),
    "Record runs": (watch, backfill, import_),
    "Query runs": (runs, status, timing, usage, cost, actions, stuck, history, replay, export),
    "Look at runs": (report, serve, top),
    "Maintain the tables": (upgrade, catch_up, follow, rebuild, retry, verify, deliveries, doctor),
    "Delete data": (prune, forget),
}

app = typer.Typer(
    name="runfold",
    cls=CommandGroup,
    help="Record runs of AI agents as events, and query them as SQL tables.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if version:
        from tracker import __version__

        typer.echo(f"runfold {__version__}")
        raise typer.Exit


for _heading, _commands in COMMANDS.items():
    for _command in _commands:
        _name = _command.__name__.strip("_").replace("_", "-")
        app.command(_name, cls=PlainCommand, rich_help_panel=_heading)(_command)

# Built once a process: that takes as long as many a command.
command = typer.main.get_command(app)
