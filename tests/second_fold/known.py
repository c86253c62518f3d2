"""Differences between the folds that are known, and avoided until one of them is mended."""

from __future__ import annotations

# An empty model, assistant, thread or metadata is None by the rollups, and a group of its own
# where runs are read.
EMPTY_TEXTS = "empty texts"
# The rollup of timing has no outcome, and none has the status, which is the outcome of an ended
# run: so these answers miss runs that were pruned.
KEPT_BY_OUTCOME = "outcome and status after a prune"
# `run("r1")` of several sources prefers the one that nobody named.
ONE_ID = "one id of several sources"
# Usage that was told while a run waited is lost at its end.
EARLY_USAGE = "usage before the end"
# A model, thread or assistant that the first document lacked, or that changes later.
LATE_FACTS = "late facts"
# Function calls that only steps prove.
TOOL_STEPS = "tool steps"
# A model that the price list has no output price for: unpriced by one, free by the other.
NO_RATE = "a side without a rate"

# Take a name out, and all of its cases are tried. `python -m tests.second_fold --try` tries them
# now.
KNOWN: frozenset[str] = frozenset()
