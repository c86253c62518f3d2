"""Exit codes: an error is one line on stderr and a code, never a traceback."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from tracker.errors import RunfoldError, SettingsError

INTERRUPTED = 130


class CommandGroup(TyperGroup):
    """The group of all commands; turns their errors into exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Invokes the command. Exits with 2 for usage, 1 for failure, 130 for Ctrl-C."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise _exit(str(error), 2) from None
        except RunfoldError as error:
            raise _exit(str(error), 1) from None
        except KeyboardInterrupt:
            raise _exit("interrupted; everything recorded so far is kept", INTERRUPTED) from None


def _exit(message: str, code: int) -> typer.Exit:
    sys.stdout.flush()
    sys.stderr.write(f"runfold: {message}\n")
    return typer.Exit(code)
