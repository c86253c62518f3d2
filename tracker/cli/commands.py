"""The commands, thin: each opens what it needs, asks once, and prints."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from tracker.cli import maintenance
from tracker.cli.apis import make_source
from tracker.cli.exit_codes import Commands
from tracker.cli.export import export
from tracker.cli.options import DEFAULT_DB, Db, Json
from tracker.cli.queries import actions, cost, status, stuck, timing, usage
from tracker.errors import SettingsError
from tracker.sources.payload_format import Api

app = typer.Typer(
    name="runfold",
    cls=Commands,
    help="Follow runs of AI agents from the wire to SQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_PROJECTIONS = "runs, phases, actions, steps, usage, timing or costs"
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url", envvar="OPENAI_BASE_URL", metavar="URL", help="The service, with its /v1."
    ),
]
Key = Annotated[
    str | None,
    typer.Option("--api-key", envvar="OPENAI_API_KEY", metavar="KEY", help="The key.", hidden=True),
]
SourceName = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="The name to file under [default: the API's]"),
]


@app.command()
def demo(
    runs: Annotated[int, typer.Option(min=1, help="How many runs to create.")] = 60,
    threads: Annotated[int, typer.Option(min=1, help="On how many threads.")] = 20,
    seed: Annotated[int | None, typer.Option(help="For the same lives again.")] = None,
    db: Db = "sqlite:///runfold-demo.db",
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="A simulator that runs already.")
    ] = None,
) -> None:
    """Simulator, tracker and views in one go: real HTTP on loopback, a real database."""
    from tracker.cli.demo import show_demo

    show_demo(db, runs=runs, threads=threads, seed=seed, base_url=base_url)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 4010,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    seed: Annotated[int | None, typer.Option(help="For the same lives and ids again.")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="How much faster than life.")] = 1.0,
) -> None:
    """The simulator alone: an Assistants-compatible server at /v1, until it is interrupted."""
    from tracker.simulator import serve

    # Ids come from the seed: two simulators of one seed would mix in one database.
    seed = random.randrange(10_000) if seed is None else seed
    serve(
        host, port, seed, speed, announce=lambda url: typer.echo(f"serving at {url}, seed {seed}")
    )


@app.command()
def watch(
    thread: Annotated[
        str, typer.Argument(metavar="THREAD", help="The id of the thread or session, - for none.")
    ],
    run: Annotated[str, typer.Argument(metavar="RUN", help="The id of the run.")],
    base_url: BaseUrl = None,
    api_key: Key = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds at most.")
    ] = None,
    api: Annotated[Api, typer.Option("--api", help="What the service speaks.")] = Api.assistants,
    source: SourceName = None,
    api_version: Annotated[
        str | None, typer.Option("--api-version", help="Azure's api-version; sends api-key.")
    ] = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Watch a run until it ends.

    The key is read from OPENAI_API_KEY, that of a LangGraph server from LANGSMITH_API_KEY.
    """
    from tracker.cli.watch import watch_run

    if not base_url:
        raise SettingsError("which service? Say --base-url URL, or set OPENAI_BASE_URL")
    ended_well = watch_run(
        db,
        thread,
        run,
        service=make_source(api, base_url, api_key, source, api_version),
        timeout=timeout,
    )
    raise typer.Exit(0 if ended_well else 1)


@app.command()
def backfill(
    threads: Annotated[
        list[str], typer.Argument(metavar="THREAD", help="The ids of threads or sessions.")
    ],
    base_url: BaseUrl = None,
    api_key: Key = None,
    no_steps: Annotated[bool, typer.Option("--no-steps", help="Leave their steps out.")] = False,
    api: Annotated[Api, typer.Option("--api", help="What the service speaks.")] = Api.assistants,
    source: SourceName = None,
    api_version: Annotated[
        str | None, typer.Option("--api-version", help="Azure's api-version; sends api-key.")
    ] = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Record all runs of threads, and the steps of those that have ended; none is watched.

    Where it was cut short, say it again: it asks for no steps that are recorded. The keys are
    read as by watch.
    """
    from tracker.cli.backfill import backfill_threads

    if not base_url:
        raise SettingsError("which service? Say --base-url URL, or set OPENAI_BASE_URL")
    service = make_source(api, base_url, api_key, source, api_version)
    raise typer.Exit(0 if backfill_threads(db, threads, service, steps=not no_steps) else 1)


@app.command("import")
def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="JSON lines, packed by gzip or not, and folders."),
    ],
    source: SourceName = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Import snapshots: a run object a line, or {"observed_at", "source", "body"}.

    Runs of all the APIs that runfold knows may be mixed; each is told by its shape, and named as
    its API where nobody says: assistants, responses, agents or langgraph. Lines of
    `runfold export --events` become the events that they were. Below folders, files are taken
    that end in .jsonl, .json, .jsonl.gz or .json.gz.
    """
    from tracker.cli.import_ import import_files

    raise typer.Exit(0 if import_files(db, paths, source=source) else 1)


app.command()(export)


for question in (status, timing, usage, cost, actions, stuck):
    app.command()(question)


@app.command()
def history(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The id of the run.")],
    source: Annotated[str | None, typer.Option("--source", help="If several have it.")] = None,
    json: Json = False,
    db: Db = DEFAULT_DB,
) -> None:
    """The events of a run, and a picture of its phases."""
    from tracker.cli.history import print_history

    print_history(db, run, source=source, json=json)


@app.command()
def upgrade(db: Db = DEFAULT_DB) -> None:
    """Make the tables, or bring them to this release."""
    from projections import Views

    with Views(db) as views:
        views.upgrade()
    typer.echo("the tables are up to date")


@app.command("catch-up")
def catch_up(db: Db = DEFAULT_DB) -> None:
    """Bring the tables up to the last event."""
    from tracker.cli.tables import existing, with_progress

    with existing(db) as views:
        applied = with_progress(views)
    typer.echo(f"{applied} events applied")


@app.command()
def follow(
    every: Annotated[
        float, typer.Option(min=0.01, help="Seconds until it notices Ctrl-C, at most.")
    ] = 0.5,
    db: Db = DEFAULT_DB,
) -> None:
    """Keep the tables up to the last event, until it is interrupted."""
    from threading import Event

    from tracker.cli.tables import existing, moving

    with existing(db) as views, moving("catching up") as moved:
        typer.echo("following; stop with Ctrl-C", err=True)
        views.follow(Event(), every=every, progress=moved)


@app.command()
def rebuild(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help=f"{_PROJECTIONS}.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Make tables again from the events alone; readers see the old ones until it is done."""
    from tracker.cli.tables import existing, moving

    if bool(names) == all_:
        raise SettingsError(f"which tables? Name {_PROJECTIONS}, or say --all")
    with existing(db) as views, moving("replaying") as moved:
        position = views.rebuild(*names or (), progress=moved)
    typer.echo(f"made again from all events up to position {position}")


@app.command()
def verify(db: Db = DEFAULT_DB) -> None:
    """Replay the events and compare the tables with what they say, row by row."""
    from tracker.cli.tables import moving, opened, print_differences

    with opened(db, quiet=True) as views, moving("replaying") as moved:
        differences = views.verify(moved)
    print_differences(differences)
    if differences:
        typer.echo("cure: runfold rebuild --all", err=True)
        raise typer.Exit(1)
    typer.echo("the tables are what the events say")


for command in (maintenance.doctor, maintenance.prune, maintenance.forget):
    app.command()(command)
