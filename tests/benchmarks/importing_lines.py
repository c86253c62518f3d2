"""Lines a second of `runfold import`, and its memory as their number grows.

Exported events, and snapshots in a folder of files packed by gzip; each measured in a process of
its own, on an SQLite file. The memory is that of the process at most, above what it had when all
was loaded and nothing imported.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter

from projections import Views
from tests.benchmarks.report import machine, most_memory, table, write
from tests.support.run_builder import created, ended, started, waiting
from tracker import open_event_store
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append
from tracker.import_export.exporter import export_events
from tracker.import_export.importer import import_lines
from tracker.import_export.line_reader import LineReader, files_below
from tracker.runtime.clock import SystemClock

# Of a folder, as logs are rotated.
LINES_IN_A_FILE = 50_000
_NAME = b"run_00000000"
_MIB = 1024


@dataclass(frozen=True)
class Settings:
    """Numbers of lines."""

    lines: Sequence[int] = (250_000, 500_000, 1_000_000)


FULL = Settings()
TINY = Settings(lines=(400,))


def event_lines() -> Iterator[bytes]:
    """The export of histories of four events each, without an end."""
    store = open_event_store("memory://")
    usage = Usage(prompt_tokens=812, completion_tokens=97, total_tokens=909)
    story: list[e.Event] = [
        created(run_id=_NAME.decode(), assistant_id="asst_1", model="gpt-4o", thread_id="thread_1"),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        ended(e.RunCompleted, 20, 19, since=12, previous="requires_action", usage=usage),
    ]
    store.append([Append(f"assistants:{_NAME.decode()}", 0, story)])
    parts: list[bytes] = []
    export_events(store, parts.append)
    return _numbered(b"".join(parts).splitlines(keepends=True))


def snapshot_lines() -> Iterator[bytes]:
    """Two looks at each of many runs, without an end: queued, and completed."""
    body = {
        "id": _NAME.decode(),
        "object": "thread.run",
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "model": "gpt-4o",
        "created_at": 1_750_000_000,
        "expires_at": 1_750_000_600,
        "metadata": {"user": "ann"},
    }
    usage = {"prompt_tokens": 812, "completion_tokens": 97, "total_tokens": 909}
    end = {"started_at": 1_750_000_002, "completed_at": 1_750_000_012, "usage": usage}
    queued = {"observed_at": 1_750_000_001, "body": body | {"status": "queued"}}
    completed = {"observed_at": 1_750_000_013, "body": body | end | {"status": "completed"}}
    return _numbered([json.dumps(each).encode() + b"\n" for each in (queued, completed)])


def _numbered(lines: list[bytes]) -> Iterator[bytes]:
    number = 0
    while True:
        for line in lines:
            yield line.replace(_NAME, b"run_%08d" % number)
        number += 1


def _one_file(folder: Path, number: int) -> None:
    with (folder / "events.jsonl").open("wb") as file:
        file.writelines(islice(event_lines(), number))


def _packed_files(folder: Path, number: int) -> None:
    lines = snapshot_lines()
    for at in range(0, number, LINES_IN_A_FILE):
        with gzip.open(folder / f"{at:09d}.jsonl.gz", "wb", compresslevel=1) as file:
            file.writelines(islice(lines, min(LINES_IN_A_FILE, number - at)))


KINDS: dict[str, Callable[[Path, int], None]] = {
    "events": _one_file,
    "snapshots, packed": _packed_files,
}


def measure(folder: Path) -> None:
    """Imports what is in a folder, and writes what it took as JSON; for a process of its own."""
    url = f"sqlite:///{folder / 'runs.db'}"
    with Views(url) as views:
        views.prepare(create=True)
        store = open_event_store(url)
        before = most_memory()
        begun = perf_counter()
        files = LineReader(files_below([folder]))
        report = import_lines(files, store, source=None, clock=SystemClock())
        importing, imported = perf_counter() - begun, most_memory()
        store.close()
        begun = perf_counter()
        views.catch_up()
        folding, folded = perf_counter() - begun, most_memory()
    assert not report.bad, report.bad
    found = {
        "lines": report.recorded + report.snapshots,
        "events": report.events,
        "importing": importing,
        "imported": imported - before,
        "folding": folding,
        "folded": folded - before,
    }
    write(json.dumps(found))


def main(settings: Settings = FULL) -> None:
    """Measures each kind with each number of lines."""
    shown = []
    for kind, fill in KINDS.items():
        for number in settings.lines:
            with tempfile.TemporaryDirectory(prefix="runfold-bench-") as name:
                fill(Path(name), number)
                done = subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.importing_lines", name],
                    capture_output=True,
                    text=True,
                    check=True,
                )
            found = json.loads(done.stdout)
            assert found["lines"] == number
            shown.append(
                (
                    kind,
                    f"{number:,}",
                    f"{number / found['importing']:,.0f}",
                    f"{found['imported'] / _MIB:.0f}",
                    f"{found['events'] / found['folding']:,.0f}",
                    f"{found['folded'] / _MIB:.0f}",
                )
            )
    header = ("kind", "lines", "lines/s", "MiB above", "events/s into tables", "MiB above")
    table("Importing lines. Aim: memory does not grow with their number", header, shown)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(Path(sys.argv[1]))
    else:
        write(machine())
        main()
