"""The command line: it wires both sides, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs `runfold`. Exit codes: 0 done, 1 the thing asked about failed, 2 usage."""
    from tracker.cli.commands import app
    from tracker.errors import RunfoldError, SettingsError

    try:
        app()
    except SettingsError as error:
        sys.stderr.write(f"runfold: {error}\n")
        sys.exit(2)
    except RunfoldError as error:
        sys.stderr.write(f"runfold: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("runfold: stopped; what was recorded stays\n")
        sys.exit(130)
