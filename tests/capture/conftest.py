"""Fixtures for tests of captured calls."""

import pytest

from tests.support.waiting import PATIENCE


@pytest.fixture(autouse=True)
def patient_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has calls wait for their recording: a commit may last long on a busy machine."""
    monkeypatch.setattr("tracker.capture.hooks.PATIENCE_SECONDS", PATIENCE)
