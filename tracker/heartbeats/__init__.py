"""Heartbeats: the status of each source of each tracker, where other processes can read it.

A tracker that polls for a database writes a row for each of its sources into `runfold_sources`:
at once when its status changes, and every ten seconds besides, so that a row that grows old shows
that its tracker died. Closing the tracker removes its rows. `runfold doctor` reads them. The pace
of each source, its rate and how often its runs change, stays in `runfold_paces` for the next
tracker.
"""

from __future__ import annotations
