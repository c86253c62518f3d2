"""The help texts of all commands: no types of flags, and lines that fit."""

import pytest

from tests.support.command_line import runfold
from tests.support.manual_sessions import commands


@pytest.mark.parametrize("command", [(), *((it,) for it in sorted(commands()))], ids=" ".join)
def test_help_reads_well(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    shown = runfold(*command, "--help").out
    assert "<bool>" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_times_are_printed_in_the_zone_of_an_option() -> None:
    printing_times = {"runs", "actions", "history", "watch", "deliveries", "doctor", "report"}
    for command in sorted(printing_times | {"status", "timing", "usage", "cost", "serve", "top"}):
        shown = runfold(command, "--help").out
        assert "--tz" in shown, command
        assert "RUNFOLD_TZ" in shown, command


def test_a_stop_before_a_command_begins_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tracker.cli.commands.command", stop)
    assert runfold("status").code == 130
