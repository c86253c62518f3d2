"""Project files: short modules, docstrings, packed migrations, clean names."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LONGEST = 600
MOST_MODULES = 20
MOST_FLAT_MODULES = 6
SOURCES = sorted(
    path for package in ("tracker", "projections") for path in (ROOT / package).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# In pieces, so that this file does not contain them.
REGISTRY = "pypi" + "." + "org"
HERE = ("/" + "work/", "/" + "tmp/dev", "/" + "root/", "/" + "home/")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_file_is_short() -> None:
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: number for name, number in lines.items() if number > LONGEST} == {}


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for path in SOURCES:
        module = ast.parse(path.read_text("utf-8"))
        silent += [] if ast.get_docstring(module) else [name_of(path)]
        silent += [
            f"{name_of(path)}: {node.name}"
            for node in list_public(module)
            if not ast.get_docstring(node)
        ]
    assert silent == []


def list_public(module: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Returns the public classes and functions of a module, without methods."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [
        node for node in module.body if isinstance(node, kinds) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("package", sorted({path.parent for path in SOURCES}), ids=name_of)
def test_a_package_is_small(package: Path) -> None:
    modules = [path for path in package.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= (MOST_FLAT_MODULES if package.parent == ROOT else MOST_MODULES)


def test_the_migrations_are_packed_and_are_no_package() -> None:
    assert list((ROOT / "alembic").rglob("__init__.py")) == []
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"alembic": "projections/_alembic"}
    assert wheel["packages"] == ["tracker", "projections"]
    assert not (ROOT / "projections" / "_alembic").exists()


def test_the_manuals_are_not_packed() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["exclude"] == ["README.md"]


def test_both_packages_say_that_they_are_typed() -> None:
    for package in ("tracker", "projections"):
        assert (ROOT / package / "py.typed").is_file()


def test_the_top_level_holds_what_it_may() -> None:
    allowed = {"pyproject.toml", "README.md", "LICENSE", "alembic.ini"}
    folders = {"tracker", "projections", "tests", "alembic"}
    tops = {name.partition("/")[0] for name in list_tracked() if not name.startswith(".")}
    assert tops == allowed | folders


def test_no_file_names_a_registry_or_a_folder_of_this_machine() -> None:
    found = []
    for name in list_tracked():
        text = (ROOT / name).read_text("utf-8", errors="replace")
        for word in (REGISTRY, *HERE):
            found += [f"{name} has {word}"] if word in text else []
    assert found == []


def test_no_test_module_is_imported_by_another() -> None:
    # Programs in strings count too, so this searches the text.
    imports = re.compile(r"\b(from|import)\s+tests(\.\w+)*(\.|\s+import\s+)test_")
    importing = [name_of(path) for path in TESTS if imports.search(path.read_text("utf-8"))]
    assert importing == []


def list_tracked() -> list[str]:
    """Lists the existing files that git tracks; skips the test outside a git checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, timeout=60
    )
    if listed.returncode:
        pytest.skip(f"git cannot tell: {listed.stderr}")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
