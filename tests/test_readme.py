"""The README: each block runs, and each table matches the code."""

import asyncio
import re
import shlex
import subprocess
import sys
import time
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from sqlalchemy import create_engine, make_url, text

from projections import Views, metadata
from tests.support.command_line import SECONDS, environment, runfold
from tests.support.paths import ROOT
from tests.support.simulated_files import simulated_file
from tracker import Tracker, errors, sources
from tracker.cli.commands import app
from tracker.observability import PrometheusMetrics
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
SHORT = Parameters.ending(
    "completed",
    action=1.0,
    max_actions=1,
    answers="client",
    unanswered=0.0,
    stretched=0.0,
    time_scale=0.02,
)


def blocks(language: str) -> list[str]:
    return [block for found, block in BLOCKS if found == language]


def table(heading: str) -> list[list[str]]:
    """The cells of the rows below the heading that begins so."""
    lines = README[README.index(f"\n{heading}") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_there_is_a_test_of_every_block() -> None:
    kinds = ["bash", "bash", *["python"] * 6, *["sql"] * 6]
    assert [language for language, _ in BLOCKS] == kinds
    assert README.count("```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("block", blocks("bash"))
def test_a_command_installs_an_extra_that_there_is(block: str) -> None:
    venv, install, _ = (shlex.split(part) for part in block.strip().split(" && "))
    assert venv == ["python3", "-m", "venv", ".venv"]
    assert install[:4] == [".venv/bin/pip", "install", "-q", "-e"]
    [extra] = re.fullmatch(r"\.\[(\w+)\]", install[4]).groups()  # type: ignore[union-attr]
    assert EXTRAS[extra]


def test_the_first_command_shows_the_demo(tmp_path: Path) -> None:
    command = blocks("bash")[0].strip().split(" && ")[-1]
    assert command.startswith(".venv/bin/runfold ")
    arguments = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "tracker.cli", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("60 runs on 20 threads ")
    for shown in ("runs by status", "seconds by phase", "tokens by model", "runfold-demo.db"):
        assert shown in done.stdout
    assert (tmp_path / "runfold-demo.db").is_file()


def test_the_second_command_runs_the_tests() -> None:
    # The gate runs it as it is; here it would run itself.
    assert blocks("bash")[1].strip().endswith(" && .venv/bin/python -m pytest")


def test_the_program_runs(tmp_path: Path) -> None:
    program, *_ = blocks("python")
    with Simulator(parameters=SHORT, api_key="sk-readme-4f1d9c22b7") as simulator:
        theirs = simulator.create_run()
        there = {
            "thread_1": simulator.create_thread(),
            "thread_2": theirs.thread_id,
            "run_of_somebody_else": theirs.run_id,
        }
        for name, instead in there.items():
            assert f'"{name}"' in program
            program = program.replace(f'"{name}"', f'"{instead}"')
        file = tmp_path / "program.py"
        names = f'BASE_URL = "{simulator.base_url}"\nAPI_KEY = "sk-readme-4f1d9c22b7"\n'
        file.write_text(names + program, "utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(file)],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("completed ")
    for shown in (
        "RunActionRequired",
        "RunCompleted",
        "TimingRow(",
        "UsageRow(",
        "CostRow(",
        "datetime.date(",
    ):
        assert shown in done.stdout


@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_the_application_is_captured(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, application, *_ = blocks("python")
    with Simulator(parameters=SHORT, api_key="sk-readme-4f1d9c22b7") as simulator:
        names: dict[str, Any] = {"AsyncOpenAI": AsyncOpenAI, "Tracker": Tracker}
        exec(application, names)

        async def run() -> None:
            api = Assistants(simulator.base_url, "sk-readme-4f1d9c22b7")
            async with (
                AsyncOpenAI(base_url=simulator.base_url, api_key="sk-readme-4f1d9c22b7") as client,
                Tracker("memory://", api) as tracker,
            ):
                await names["follow"](client, tracker, simulator.create_thread())

        asyncio.run(run())
    shown = capsys.readouterr().out
    assert shown.startswith("1 RunCreated(")
    for event in ("RunActionRequired(", "ToolOutputsSubmitted(", "RunCompleted("):
        assert shown.count(event) == 1


def test_the_handlers_are_those_of_the_examples() -> None:
    # Which are run, whole, by tests/examples/test_examples.py.
    _, _, _, handler, webhook, stream = blocks("python")
    examples = ROOT / "tests" / "examples"
    assert handler in (examples / "fastapi_service.py").read_text("utf-8")
    assert webhook in (examples / "response_service.py").read_text("utf-8")
    assert stream in (examples / "response_service.py").read_text("utf-8")


def test_the_jobs_keep_the_tables(tmp_path: Path) -> None:
    _, jobs, *_ = blocks("python")
    url = f"sqlite:///{tmp_path}/runs.db"
    with (
        Simulator(parameters=SHORT, api_key="sk-readme-4f1d9c22b7") as simulator,
        Views(url) as views,
    ):
        views.upgrade()
        theirs = simulator.create_run()
        api = Assistants(simulator.base_url, api_key="sk-readme-4f1d9c22b7")
        tracker = Tracker(url, api).in_background()
        exec(jobs, {"tracker": tracker, "views": views, "timedelta": timedelta})
        with tracker:
            tracker.watch(theirs.thread_id, theirs.run_id)
            tracker.wait(theirs.run_id, timeout=SECONDS, until="actionable")
            deadline = time.monotonic() + SECONDS
            while not views.runs(status="requires_action") and time.monotonic() < deadline:
                time.sleep(0.1)
        assert [run.run_id for run in views.runs()] == [theirs.run_id]
        assert views.doctor().pruned_before is not None


def test_the_metrics_are_those_of_the_collector() -> None:
    described: set[str] = set()
    for cell, _ in table("| metric | what it is |"):
        described |= set(quoted(cell))
    tracker = Tracker("memory://", Assistants("http://127.0.0.1:9/v1"))
    actual = set()
    for metric in PrometheusMetrics(tracker, lag=dict).describe():
        actual.add(metric.name + ("_total" if metric.type == "counter" else ""))
    assert described == actual


@pytest.fixture(params=["sqlite", "postgresql"])
def simulated(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of some runs, one of which waits for tool outputs."""
    url = f"sqlite:///{tmp_path}/runs.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_db")
    assert runfold("import", simulated_file(tmp_path / "runs.jsonl"), "--db", url).code == 0
    return url


@pytest.mark.parametrize("query", blocks("sql"))
def test_a_query_answers(query: str, simulated: str) -> None:
    url = make_url(simulated)
    engine = create_engine(
        url if url.drivername == "sqlite" else url.set(drivername="postgresql+psycopg")
    )
    with engine.connect() as connection:
        rows = connection.execute(text(query)).all()
    engine.dispose()
    assert rows
    assert all(None not in row for row in rows)


def test_the_tables_are_those_of_the_schema() -> None:
    described = {}
    for name, key, columns in table("| table | key | columns |"):
        listed = re.sub(r"\([^)]*\)", "", columns).replace("`", "").split(",")
        described[quoted(name)[0]] = (quoted(key), [column.strip() for column in listed])
    actual = {}
    for name, found in metadata.tables.items():
        key = [column.name for column in found.primary_key]
        public = [it.name for it in found.columns if not it.name.startswith("_")]
        actual[name] = (key, [column for column in public if column not in key])
    assert described == actual


def test_the_sources_are_those_that_there_are() -> None:
    described = [quoted(name)[0] for name, *_ in table("| source | what it speaks |")]
    kinds = {name: getattr(sources, name) for name in sources.__all__}
    spoken = [
        name
        for name, kind in kinds.items()
        if issubclass(kind, sources.HttpSource) and kind is not sources.HttpSource
    ]
    assert sorted(described) == spoken
    example = ROOT / "tests" / "examples" / "own_source.py"
    assert len(example.read_text("utf-8").splitlines()) < 60


def test_the_commands_are_those_of_the_program() -> None:
    described = set()
    for cell, _ in table("| command | what it does |"):
        described |= {command.removeprefix("runfold ").split()[0] for command in quoted(cell)}
    actual = {it.name or it.callback.__name__ for it in app.registered_commands if it.callback}
    assert described == actual
    assert "All but `simulate` take `--db URL`" in README
    for command in actual:
        assert ("--db" in runfold(command, "--help").out) == (command != "simulate")


@pytest.mark.parametrize(
    "link", sorted(set(re.findall(r"`((?:tracker|tests|\.ci)/[\w./]+)`", README)))
)
def test_a_file_that_it_names_is_there(link: str) -> None:
    assert (ROOT / link).exists()


def test_what_it_says_of_errors_and_doubles_is_there() -> None:
    for name in re.findall(r"`(PollAgain|StopPolling)`", README):
        assert issubclass(getattr(errors, name), errors.RunfoldError)
    assert (ROOT / "tracker" / "testing.py").is_file()
    assert (ROOT / "tests" / "benchmarks" / "__main__.py").is_file()
