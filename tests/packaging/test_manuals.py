"""The manuals: each example runs, and each name in them exists."""

import asyncio
import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from projections import Views
from tests.support.command_line import SECONDS, runfold
from tests.support.manual_sessions import (
    API_KEY,
    check_command,
    is_excerpt,
    make_simulator,
    run_console,
    run_python,
)
from tests.support.manuals import DOCUMENTS, EXTRAS, GUIDES, MANUALS, README, Block, Manual
from tests.support.paths import ROOT
from tests.support.recorded_runs import write_runs
from tracker import Tracker
from tracker.simulator import Simulator
from tracker.sources import Assistants

PATHS = re.compile(r"(?:tracker|projections|tests|alembic|\.ci|\.github)/[\w./]*[\w/]")
NAMES = re.compile(r"(tracker|projections|views)\.(\w+(?:\.\w+)*)")

# Some of what the examples print: that they ran is not all that they promise.
PRINTED = {
    "tracker/README.md": ("completed prompt_tokens=", "RunCreated(", "Backfilled(runs=0"),
    "tracker/capture/README.md": (
        "1 RunCreated(",
        "RunActionRequired(",
        "ToolOutputsSubmitted(",
        "RunCompleted(",
    ),
    "tracker/observability/README.md": (
        'runfold_active_runs{source="assistants",status="queued"} 0.0',
        'runfold_projection_lag_events{projection="runs"} 0.0',
    ),
    "projections/README.md": ("StuckRow(", "CostRow(", "TimingRow(", "Pruned(runs=4"),
}


def blocks(language: str) -> list[tuple[Manual, Block]]:
    return [(manual, block) for manual in DOCUMENTS for block in manual.blocks_of(language)]


def name_of(value: Manual | Block) -> str:
    return f"line {value.line}" if isinstance(value, Block) else value.name


@pytest.fixture
def service() -> Iterator[Simulator]:
    with make_simulator() as running:
        yield running


@pytest.mark.parametrize("manual", DOCUMENTS, ids=repr)
def test_every_block_is_of_a_language_that_is_tested(manual: Manual) -> None:
    # Pictures are blocks of text.
    allowed = {"bash", "console", "python", "sql", "text"}
    assert {block.language for block in manual.blocks} <= allowed
    assert manual.text.count("```") == 2 * len(manual.blocks)


@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "manual", [it for it in [*MANUALS, *GUIDES] if it.blocks_of("python")], ids=repr
)
def test_the_python_of_a_manual_runs(
    manual: Manual,
    service: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(run_python(manual, service, lambda: request.getfixturevalue("postgres_db")))
    printed = capsys.readouterr().out
    for what in PRINTED.get(manual.name, ()):
        assert what in printed


@pytest.mark.parametrize(("manual", "block"), blocks("console"), ids=name_of)
def test_a_console_shows_what_the_commands_print(
    manual: Manual,
    block: Block,
    service: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", service.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    run_console(block, service)


@pytest.mark.parametrize(("manual", "block"), blocks("bash"), ids=name_of)
def test_a_command_of_the_shell_does_something(manual: Manual, block: Block) -> None:
    for line in block.text.splitlines():
        check_command(line)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a database of some runs, one of which waits for tool outputs."""
    folder = tmp_path_factory.mktemp("manuals")
    url, server = f"sqlite:///{folder}/runs.db", None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        server.execute("CREATE DATABASE manuals TEMPLATE template0")
        url = server.url("manuals")
    assert runfold("import", write_runs(folder / "runs.jsonl"), "--db", url).code == 0
    yield url
    if server is not None:
        server.execute("DROP DATABASE manuals WITH (FORCE)")


@pytest.mark.parametrize(("manual", "block"), blocks("sql"), ids=name_of)
def test_a_query_answers(manual: Manual, block: Block, database: str) -> None:
    url = make_url(database)
    engine = create_engine(
        url if url.drivername == "sqlite" else url.set(drivername="postgresql+psycopg")
    )
    with engine.begin() as connection:
        result = connection.execute(text(block.text))
        rows = result.all() if result.returns_rows else [("done",)]
    engine.dispose()
    assert rows
    assert all(None not in row for row in rows)


@pytest.mark.parametrize("manual", DOCUMENTS, ids=repr)
def test_the_files_that_it_names_are_there(manual: Manual) -> None:
    named = [code for code in manual.codes if PATHS.fullmatch(code)]
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("manual", DOCUMENTS, ids=repr)
def test_its_links_lead_somewhere(manual: Manual) -> None:
    broken = []
    for link in manual.links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (manual.path.parent / path).resolve() if path else manual.path
        if not target.exists() or (anchor and anchor not in Manual(target).anchors):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("manual", DOCUMENTS, ids=repr)
def test_the_modules_classes_and_calls_that_it_names_are_there(manual: Manual) -> None:
    named = [found for code in manual.codes if (found := NAMES.match(code))]
    assert [found[0] for found in named if not _resolves(found[1], found[2])] == []


def _resolves(package: str, rest: str) -> bool:
    if package == "views":
        return hasattr(Views, rest.partition(".")[0])
    # Either something in the package, or of a tracker.
    if package == "tracker" and hasattr(Tracker, rest.partition(".")[0]):
        return True
    found: object = importlib.import_module(package)
    path = package
    for name in rest.split("."):
        path = f"{path}.{name}"
        try:
            found = getattr(found, name)
        except AttributeError:
            try:
                found = importlib.import_module(path)
            except ImportError:
                return False
    return True


@pytest.mark.parametrize("manual", DOCUMENTS, ids=repr)
def test_the_extras_that_it_names_are_there(manual: Manual) -> None:
    for extra in re.findall(r"runfold\[(\w+)\]", manual.text):
        assert EXTRAS[extra]


def test_every_manual_is_in_the_table_of_the_readme() -> None:
    linked = {cells[0] for cells in README.tables["| manual | about |"]}
    folders = [manual.path.parent.relative_to(ROOT).as_posix() for manual in MANUALS]
    assert linked == {f"[{folder}]({folder}/README.md)" for folder in folders}


def test_examples_of_services_are_parts_of_whole_ones() -> None:
    [tracking] = [manual for manual in MANUALS if manual.name == "tracker/README.md"]
    # Which are run, whole, by tests/examples/test_examples.py.
    parts = [block.text for block in tracking.blocks_of("python") if is_excerpt(block)]
    for shown in ("@tracker.on(RunActionRequired)", "tracker.webhook(", "tracker.observing("):
        assert any(shown in part for part in parts)


def test_the_jobs_keep_the_tables(tmp_path: Path, service: Simulator) -> None:
    [tracking] = [manual for manual in MANUALS if manual.name == "tracker/README.md"]
    [jobs] = [it.text for it in tracking.blocks_of("python") if "tracker.every(" in it.text]
    url = f"sqlite:///{tmp_path}/runs.db"
    with Views(url) as views:
        views.upgrade()
        theirs = service.create_run()
        api = Assistants(service.base_url, API_KEY)
        tracker = Tracker(url, api).in_background()
        exec(jobs, {"tracker": tracker, "views": views})
        with tracker:
            tracker.watch(theirs.thread_id, theirs.run_id)
            tracker.wait(theirs.run_id, timeout=SECONDS)
            deadline = time.monotonic() + SECONDS
            while not views.runs(status="completed") and time.monotonic() < deadline:
                time.sleep(0.1)
        assert [run.run_id for run in views.runs()] == [theirs.run_id]
        assert views.doctor().pruned_before is not None
