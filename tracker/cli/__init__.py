"""The command line: joins the write side and the read side, and reports errors as exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `runfold` and exits: 0 for success, 1 for failure, 2 for usage, 130 for Ctrl-C."""
    # A terminal or pipe may not support all characters of payloads and tables.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        from tracker.cli.commands import command

        command(arguments)
    except KeyboardInterrupt:
        # Before a command began, or after it ended.
        sys.exit(130)
