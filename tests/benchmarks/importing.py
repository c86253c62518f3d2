"""Import times of tracker, projections and the command in a fresh interpreter.

Beside them an interpreter that imports nothing. No network or scheduler code may come along.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from tests.benchmarks.report import machine, middle, spread, table, take_turns, write

_FORBIDDEN = ("httpx", "apscheduler", "eventsourcing", "sqlalchemy", "alembic", "typer", "openai")

_COMMANDS = {
    "nothing": ["-c", "pass"],
    "import tracker": ["-c", "import tracker"],
    "import projections": ["-c", "import projections"],
    "import tracker; import projections": ["-c", "import tracker; import projections"],
    "…and use: from tracker import Tracker": ["-c", "from tracker import Tracker"],
    "…and use: from projections import Views": ["-c", "from projections import Views"],
    "runfold --help": ["-m", "tracker.cli", "--help"],
}


@dataclass(frozen=True)
class Settings:
    """How often each command is run."""

    rounds: int = 15


FULL = Settings()
TINY = Settings(rounds=0)


def loaded(statement: str) -> list[str]:
    """Which of the heavy packages a statement loads in a fresh interpreter."""
    program = f"import sys; {statement}; print(*sys.modules)"
    modules = set(_run(["-c", program]).split())
    return [name for name in _FORBIDDEN if name in modules]


def _run(arguments: list[str]) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    )
    return finished.stdout


def _milliseconds(arguments: list[str], _: int) -> float:
    started = perf_counter()
    _run(arguments)
    return (perf_counter() - started) * 1e3


def main(settings: Settings = FULL) -> None:
    """Measures each command in turns."""
    came = loaded("import tracker; import projections")
    assert not {"httpx", "apscheduler"} & set(came), came
    contenders = {name: partial(_milliseconds, command) for name, command in _COMMANDS.items()}
    measured = take_turns(contenders, settings.rounds)
    floor = middle(measured["nothing"])
    shown = [
        (name, f"{middle(values):.0f}", f"{middle(values) - floor:.0f}", spread(values))
        for name, values in measured.items()
    ]
    title = "Importing. Aim: `import tracker; import projections` under 250 ms"
    table(title, ("command", "ms", "ms above nothing", "rounds"), shown)
    write(f"\nBoth imports load of {', '.join(_FORBIDDEN)}: {', '.join(came) or 'none'}.")


if __name__ == "__main__":
    write(machine())
    main()
