"""Runs the examples of a manual: Python against a simulated service, commands in a folder.

Each block of Python finds the names `BASE_URL`, `API_KEY`, `api`, `tracker`, `views`, `client` and
`payload`, and the names that earlier blocks have made. `thread_1`, `run_1` and the like become
threads and runs of the service.
"""

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from projections import Views
from tests.support.command_line import SECONDS, environment, runfold
from tests.support.manuals import EXTRAS, ROOT, Block, Manual
from tests.support.recorded_runs import write_runs
from tracker import Tracker
from tracker.cli.commands import app
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants
from tracker.testing import SourceContract

API_KEY = "sk-manual-4f1d9c22b7"
DATABASE = "postgresql://user@host/database"
EXAMPLES = "".join(
    path.read_text("utf-8") for path in sorted((ROOT / "tests" / "examples").glob("*.py"))
)
_QUICK = Parameters.ending("completed", action=0.0, stretched=0.0, time_scale=0.02)
_ASKING = Parameters.ending(
    "completed",
    action=1.0,
    max_actions=1,
    answers="client",
    unanswered=0.0,
    stretched=0.0,
    time_scale=0.02,
)
_IDS = re.compile(r"\b(thread|run)_(\d)\b")


def make_simulator() -> Simulator:
    """Returns a service whose runs end within a second."""
    return Simulator(parameters=_QUICK, api_key=API_KEY, many_active=True)


def is_excerpt(block: Block) -> bool:
    """True if a block is part of a worked example, which tests run as a whole."""
    return block.text in EXAMPLES


def put_ids(text: str, service: Simulator) -> str:
    """Replaces `thread_1`, `run_1`, … with new threads and runs of a service.

    Lines that ask the tables keep them: the recorded runs have these ids.
    """
    lines = text.splitlines(keepends=True)
    found = {pair for line in lines if "views." not in line for pair in _IDS.findall(line)}
    threads = {number: service.create_thread() for number in sorted({it for _, it in found})}
    runs = {
        number: service.create_run(threads[number]).run_id
        for kind, number in sorted(found)
        if kind == "run"
    }
    known = {"thread": threads, "run": runs}

    def put(line: str) -> str:
        return line if "views." in line else _IDS.sub(lambda it: known[it[1]][it[2]], line)

    return "".join(map(put, lines))


def run_program(block: Block, service: Simulator, folder: Path) -> str:
    """Runs a block that is a whole program, and returns what it printed."""
    names = f'BASE_URL = "{service.base_url}"\nAPI_KEY = "{API_KEY}"\n'
    file = folder / "program.py"
    file.write_text(names + put_ids(block.text, service), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def run_python(manual: Manual, service: Simulator, database: Callable[[], str]) -> None:
    """Runs the blocks of Python in the working directory, one after another.

    `database` gives the URL of an empty PostgreSQL database.
    """
    names: dict[str, Any] = {}
    async with _example_names(service) as given:
        for block in manual.blocks_of("python"):
            if is_excerpt(block):
                continue
            service.parameters = _ASKING if "submit_tool_outputs" in block.text else _QUICK
            text = put_ids(block.text, service)
            if DATABASE in text:
                text = text.replace(DATABASE, database())
            # Lines of the manual in a traceback.
            code = compile(
                "\n" * (block.line - 1) + text,
                str(manual.path),
                "exec",
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            )
            names |= given
            async with asyncio.timeout(SECONDS):
                if code.co_flags & inspect.CO_COROUTINE:
                    await eval(code, names)
                else:
                    # It may block, or run an event loop of its own.
                    await asyncio.to_thread(exec, code, names)
        for made in [it for it in names.values() if isinstance(it, type)]:
            if issubclass(made, SourceContract) and made is not SourceContract:
                await asyncio.to_thread(_run_contract, made)


def _run_contract(contract: type[SourceContract]) -> None:
    """Runs the tests of a contract."""
    for name in dir(contract):
        if name.startswith("test_"):
            getattr(contract(), name)()


@asynccontextmanager
async def _example_names(service: Simulator) -> AsyncIterator[dict[str, Any]]:
    """Provides the names that examples find, with a database of the recorded runs."""
    url = "sqlite:///runs.db"
    assert runfold("import", write_runs(Path("runs.jsonl")), "--db", url).code == 0
    async with (
        Tracker("memory://", Assistants(service.base_url, API_KEY)) as tracker,
        AsyncOpenAI(base_url=service.base_url, api_key=API_KEY) as client,
    ):
        with Views(url) as views:
            api = Assistants(service.base_url, API_KEY)
            yield {
                "BASE_URL": service.base_url,
                "API_KEY": API_KEY,
                "api": api,
                "tracker": tracker,
                "views": views,
                "client": client,
                "payload": service.body(service.create_run().run_id),
            }
            await api.aclose()


def run_console(block: Block, service: Simulator) -> None:
    """Runs the commands of a block in the working directory, and compares what they print.

    A line of `…` stands for any number of lines, and `…` in a line for the rest of it.
    """
    sessions = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert sessions[0] == "", "a block of console begins with a command"
    file = write_runs(Path("runs.jsonl"))
    if not sessions[1].startswith("runfold import"):
        assert runfold("import", file).code == 0
    for session in sessions[1:]:
        command, _, expected = session.partition("\n")
        if command.startswith(("runfold watch", "runfold backfill")):
            command = put_ids(command, service)
        program, *arguments = shlex.split(command)
        if program == "export":
            continue
        assert program == "runfold", command
        done = runfold(*arguments)
        assert done.code == 0, done.err
        shown = done.out + done.err
        assert _compile_expected(expected).fullmatch(shown), f"{command}\n{shown}"


def _compile_expected(expected: str) -> re.Pattern[str]:
    """Compiles expected output: blanks at the end of a line do not count, `…` leaves text out."""
    if not expected.strip():
        return re.compile(r".*", re.DOTALL)
    lines = [
        r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r" *\n"
        for line in expected.strip("\n").splitlines()
    ]
    return re.compile(r"\n*" + "".join(lines) + r"\n*")


def check_command(line: str) -> None:
    """Fails unless a line of bash installs, runs or measures something that exists."""
    for part in line.split(" && "):
        program, *arguments = shlex.split(part, comments=True)
        match Path(program).name, arguments:
            case ("run", _) if program == ".ci/run":
                assert os.access(ROOT / program, os.X_OK)
            case ("python3", ["-m", "venv", _]):
                pass
            case ("pip", ["install", *packages]):
                found = re.findall(r"\[(\w+)\]", " ".join(packages))
                assert found
                assert all(EXTRAS[extra] for extra in found)
            case ("python", ["-m", "pytest"]) | (
                "python",
                ["-m", "pytest", "-n", "5", "--dist", "worksteal"],
            ):
                pass  # The gate runs it; here it would run itself.
            case ("python", ["-m", "pytest", *chosen]):
                _check_chosen(chosen)
            case ("python", ["-m", "tests.benchmarks", *names]):
                assert set(names) <= set(benchmarks())
            case ("python", ["-m", "tests.simulation", first, *_]):
                assert first.isdecimal() or first in ("regressions", "planted")
            case ("runfold", [command, *_]):
                assert command in commands()
            case _:
                raise AssertionError(f"no test knows this command: {part}")


def benchmarks() -> tuple[str, ...]:
    """Returns the names of all benchmarks."""
    from tests.benchmarks.__main__ import NAMES

    return NAMES


def commands() -> set[str]:
    """Returns the names of all commands."""
    return {it.name or it.callback.__name__ for it in app.registered_commands if it.callback}


def _check_chosen(chosen: list[str]) -> None:
    """Fails unless there are tests for these arguments of pytest."""
    folder = ROOT / "tests"
    for before, argument in pairwise(["", *chosen]):
        if argument.startswith("tests/"):
            folder = ROOT / argument
            assert folder.exists()
        elif before == "-k":
            files = folder.rglob("*.py") if folder.is_dir() else [folder]
            assert any(argument in file.read_text("utf-8") for file in files)
        else:
            assert argument == "-k"
