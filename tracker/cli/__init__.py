"""The command line: it wires both sides, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `runfold` and exits: 0 done, 1 the thing asked about failed, 2 usage, 130 stopped."""
    # What services send and tables draw may be more than a terminal or a pipe can show.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    from tracker.cli.commands import app

    app(arguments)
