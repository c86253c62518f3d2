"""`kill -9` of the demo at random moments: no acknowledged event is lost or doubled."""

from pathlib import Path

import pytest

from tests.support.demo_kills import kill_demo

pytestmark = pytest.mark.integration


@pytest.mark.kills
def test_a_demo_killed_twenty_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    assert kill_demo(tmp_path, 20) >= 20
