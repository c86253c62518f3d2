"""The page of compatibility promises, compared with the code."""

import re
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from projections import Views
from projections.row_types import field_names
from tests.support import compatibility_page as page
from tests.support import public_surface as surface
from tests.support.command_line import run_body, runfold, write_lines
from tests.support.json_schemas import make_schemas
from tests.support.paths import ROOT
from tracker.observability import attributes

TEXT = page.PAGE.read_text("utf-8")
RULES = "| part | may be added in any release | incompatible |"
CURE = "python -m tests.support.compatibility_page"


@pytest.mark.parametrize("header", page.TABLES)
def test_a_table_is_what_the_code_says(header: str) -> None:
    assert page.read_rows(TEXT, header) == page.TABLES[header](), CURE


def test_no_table_is_left_out() -> None:
    headers = re.findall(r"^(\|.*\|)\n\|(?: --- \|)+$", TEXT, re.MULTILINE)
    assert headers == [RULES, *page.TABLES]


def test_a_table_is_made_again_as_it_was() -> None:
    assert page.rewrite(TEXT.replace("| `upgrade` |  | `--db` |\n", "")) == TEXT


def test_every_package_that_lists_its_names_is_there() -> None:
    faces = [it for package in surface.PACKAGES for it in (ROOT / package).rglob("__init__.py")]
    names = [".".join(it.parent.relative_to(ROOT).parts) for it in faces]
    assert {name for name in names if hasattr(import_module(name), "__all__")} <= {*surface.MODULES}


@pytest.mark.parametrize("module_name", surface.MODULES)
def test_a_name_leads_somewhere(module_name: str) -> None:
    module = import_module(module_name)
    for name in surface.list_names(module_name):
        assert getattr(module, name) is not None


@pytest.mark.parametrize(
    ("method", "table"),
    [
        (Views.runs, "runs"),
        (Views.phases, "run_phases"),
        (Views.actions, "run_actions"),
        (Views.steps, "run_steps"),
        (Views.stuck, "stuck_runs"),
        (Views.open_runs, "open_runs"),
    ],
)
def test_a_row_has_the_columns_of_its_table(method: object, table: str) -> None:
    [row] = get_args(get_type_hints(method)["return"])
    key, columns = surface.list_tables()[table]
    others = {"runs": ["total_dollars"], "open_runs": ["phases"]}.get(table, [])
    assert sorted(field_names(row)) == sorted(key + columns + others)
    assert f"`{row.__name__}`" in TEXT
    assert f"`{table}`" in TEXT


def test_every_attribute_of_a_span_is_there() -> None:
    named = {it for name, it in vars(attributes).items() if name.isupper()} - {"invoke_agent"}
    assert named == {it for _, names in surface.list_spans().values() for it in names}


def test_the_schemas_are_linked() -> None:
    links = re.findall(r"\]\(schemas/([\w.]+)\)", TEXT)
    assert sorted(links) == sorted(make_schemas())


def test_the_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(views: Views) -> None:
        raise KeyboardInterrupt

    db = f"sqlite:///{tmp_path}/runs.db"
    file = write_lines(tmp_path / "runs.jsonl", run_body())
    codes = [
        runfold("import", file, "--db", db).code,
        runfold("history", "run_2", "--db", db).code,
        runfold("usage", "--tz", "Mars/Base", "--db", db).code,
    ]
    monkeypatch.setattr(Views, "upgrade", interrupt)
    codes.append(runfold("upgrade", "--db", db).code)
    [line] = re.findall(r"^Exit codes: (.*)$", TEXT, re.MULTILINE)
    assert [int(code) for code in re.findall(r"`(\d+)`", line)] == codes


@pytest.mark.parametrize("command", surface.list_commands())
def test_a_command_has_help(command: str) -> None:
    assert runfold(command, "-h") == runfold(command, "--help")
    assert runfold(command, "-h").code == 0
