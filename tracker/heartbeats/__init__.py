"""How the sources of a tracker stand, where other processes can read it.

A tracker that polls for a database writes a row for each of its sources into `runfold_sources`:
at once where its standing changes, and every ten seconds besides, so that a row that grows old
tells of a tracker that died. Leaving removes them. `runfold doctor` reads them.
"""

from __future__ import annotations
