"""The garbage collector, called less often while millions of objects come and go.

Events and histories have no cycles, so that each collection finds nothing: measured, it took a
third of the time of a catch-up.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# New objects between two collections: tens of megabytes at most.
_OBJECTS = 50_000

_lock = Lock()
_inside = 0
_usual = gc.get_threshold()


@contextmanager
def collected_less_often() -> Iterator[None]:
    """Lets the collector of this process wait longer, until the last such block is left.

    It stays off where it is off, and as it is where it waits longer already.
    """
    global _inside, _usual
    with _lock:
        if not _inside:
            _usual = gc.get_threshold()
            if 0 < _usual[0] < _OBJECTS:
                gc.set_threshold(_OBJECTS, *_usual[1:])
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            # What somebody else has set meanwhile stays.
            if not _inside and gc.get_threshold() == (_OBJECTS, *_usual[1:]):
                gc.set_threshold(*_usual)
