"""The guide for contributors and the workflow: the layers, names and versions are the code's."""

import re

import pytest

from tests.support.manuals import GUIDES, PROJECT, ROOT

[GUIDE] = [it for it in GUIDES if it.name == ".github/CONTRIBUTING.md"]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
CODE = {
    path: path.read_text("utf-8")
    for folder in ("tracker", "projections")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

Layers = list[set[str]]


def layers_in_picture() -> dict[str, Layers]:
    """Returns the layers in the picture, from the highest on, by what contains them."""
    [picture] = GUIDE.blocks_of("text")
    layers: dict[str, Layers] = {}
    container = ""
    for line in filter(None, picture.text.splitlines()):
        names = re.split(r"\s{2,}", line.strip())[0]
        if line[0] != " ":
            container = names
            layers[container] = []
        else:
            layers[container].append(set(names.split(" : ")))
    return layers


def layers_in_contracts() -> dict[str, Layers]:
    """Returns the layers of the contracts; one in brackets only if it exists."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    return {
        contract["containers"][0]: [
            set(layer.strip("()").split(" : "))
            for layer in contract["layers"]
            if not layer.startswith("(") or exists_in(contract["containers"][0], layer.strip("()"))
        ]
        for contract in contracts
        if contract["type"] == "layers"
    }


def exists_in(container: str, name: str) -> bool:
    path = ROOT / container.replace(".", "/") / name
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_the_picture_of_the_layers_is_that_of_the_contracts() -> None:
    assert layers_in_picture() == layers_in_contracts()


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([A-Z]\w+\.\w+)`", GUIDE.prose))))
def test_a_method_that_it_names_is_there(named: str) -> None:
    kind, _, method = named.partition(".")
    [code] = [text for text in CODE.values() if re.search(rf"^class {kind}\b", text, re.MULTILINE)]
    assert re.search(rf"\bdef {method}\b", code)


def test_the_workflow_runs_the_gate_on_each_version_that_is_promised() -> None:
    [versions] = re.findall(r"python: \[(.+)\]", WORKFLOW)
    promised = [
        classifier.rpartition(" :: ")[2]
        for classifier in PROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", classifier)
    ]
    assert re.findall(r"[\d.]+", versions) == promised
    assert {line.strip() for line in WORKFLOW.splitlines() if "run:" in line} == {
        "- run: .ci/run",
        "- run: .ci/run lint",
    }
