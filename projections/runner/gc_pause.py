"""Less frequent garbage collections while millions of objects are created.

Events and histories have no reference cycles, so that each collection finds nothing. Without
this, collections took a third of the time of a catch-up.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# New objects between two collections: tens of megabytes at most.
_THRESHOLD = 50_000

_lock = Lock()
_depth = 0
_before = gc.get_threshold()


@contextmanager
def collect_less_often() -> Iterator[None]:
    """Raises the threshold of the collector until the last such block of the process ends.

    A collector that is off, or has a higher threshold already, is left as it is.
    """
    global _depth, _before
    with _lock:
        if not _depth:
            _before = gc.get_threshold()
            if 0 < _before[0] < _THRESHOLD:
                gc.set_threshold(_THRESHOLD, *_before[1:])
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            # A threshold that other code has set meanwhile is kept.
            if not _depth and gc.get_threshold() == (_THRESHOLD, *_before[1:]):
                gc.set_threshold(*_before)
