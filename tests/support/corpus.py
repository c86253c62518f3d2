"""Recorded payloads, if they lie beside the project; their tests are skipped otherwise."""

import json
from typing import Any

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT.parent / "shared" / "corpus"

needs_corpus = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the recorded payloads are not beside this checkout"
)


def lines(name: str) -> list[dict[str, Any]]:
    """Returns the objects of one file of the corpus; none without the corpus."""
    if not FOLDER.is_dir():
        return []
    return [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]
