"""What becomes of a command that cannot go on: one line for people, and an exit code."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from tracker.errors import RunfoldError, SettingsError

INTERRUPTED = 130


class Commands(TyperGroup):
    """The commands; none of them ends in a traceback for what a user or a service did."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command: exit code 2 for usage, 1 for failure, 130 where it was stopped."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise _exit(str(error), 2) from None
        except RunfoldError as error:
            raise _exit(str(error), 1) from None
        except KeyboardInterrupt:
            raise _exit("stopped; what was recorded stays", INTERRUPTED) from None


def _exit(message: str, code: int) -> typer.Exit:
    sys.stdout.flush()
    sys.stderr.write(f"runfold: {message}\n")
    return typer.Exit(code)
