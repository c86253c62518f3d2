"""A tracker of the environment."""

from pathlib import Path

import pytest

from tracker import Tracker
from tracker.errors import SettingsError
from tracker.sources import LangGraph


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RUNFOLD_DB", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_it_takes_the_database_and_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("RUNFOLD_DB", f"sqlite:///{tmp_path}/mine.db")
    with Tracker.from_env(resume=False).in_background() as tracker:
        assert list(tracker.sources_status()) == ["assistants"]
    assert (tmp_path / "mine.db").is_file()
    monkeypatch.delenv("RUNFOLD_DB")
    with Tracker.from_env(LangGraph, resume=False).in_background() as tracker:
        assert list(tracker.sources_status()) == ["langgraph"]
    assert (tmp_path / "runfold.db").is_file()


def test_without_an_address_it_says_which_variable_is_missing() -> None:
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL"):
        Tracker.from_env()
