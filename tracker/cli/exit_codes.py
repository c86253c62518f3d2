"""Exit codes: an error is one line on stderr and a code, never a traceback."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tracker.errors import RunfoldError, SettingsError

INTERRUPTED = 130


class PlainCommand(TyperCommand):
    """A command whose help shows no type of its flags, which take no value."""

    def get_params(self, ctx: Any) -> Any:
        """Returns the parameters, with that of `--help`."""
        return _hide_flag_types(super().get_params(ctx))


class CommandGroup(TyperGroup):
    """The group of all commands; turns their errors into exit codes."""

    def get_params(self, ctx: Any) -> Any:
        """Returns the parameters, with that of `--help`."""
        return _hide_flag_types(super().get_params(ctx))

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


def _hide_flag_types(parameters: Any) -> Any:
    for it in parameters:
        if getattr(it, "is_flag", False) and it.metavar is None:
            it.metavar = ""
    return parameters


def _exit(message: str, code: int) -> typer.Exit:
    sys.stdout.flush()
    sys.stderr.write(f"runfold: {message}\n")
    return typer.Exit(code)
