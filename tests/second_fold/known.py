"""Differences between the folds that are known, and avoided until the first fold is mended."""

from __future__ import annotations

# Each name is asked for where histories or questions are made. Take a name out, and all of its
# cases are tried; `python -m tests.second_fold --all` tries them now.
KNOWN: frozenset[str] = frozenset(
    {
        # An empty model, assistant, thread or metadata is None by the rollups, and a group of its
        # own where runs are read.
        "empty texts",
        # After a prune, `timing` by outcome and `usage`, `cost` and `timing` by status miss runs.
        "outcome and status after a prune",
        # `run("r1")` of several sources prefers the one that nobody named.
        "one id of several sources",
        # Usage that was told while a run waited is lost at its end.
        "usage before the end",
        # A model, thread or assistant that the first document lacked, or that changes later.
        "late facts",
        # Function calls that only steps prove.
        "tool steps",
    }
)
