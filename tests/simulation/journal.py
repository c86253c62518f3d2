"""The course of a simulation: a hash of all that happened, counts, and the laws that broke."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

# Broken laws that are shown, of each kind.
_SHOWN = 3


class Broken(NamedTuple):
    """A law that did not hold, at a moment of the simulation."""

    law: str
    detail: str
    at: float


class Journal:
    """Takes down what happens. Two runs of one seed have the same `trace`."""

    def __init__(self, time: Callable[[], float], *, is_verbose: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.broken: list[Broken] = []
        self.checked = 0
        self._time, self._is_verbose = time, is_verbose
        self._hash = hashlib.sha256()

    @property
    def trace(self) -> str:
        """A hash of everything that was noted, with its moment."""
        return self._hash.hexdigest()[:16]

    def note(self, *what: object) -> None:
        """Notes something that happened."""
        line = f"{self._time():.6f} {' '.join(map(str, what))}"
        self._hash.update(line.encode())
        if self._is_verbose:
            print(line, flush=True)  # noqa: T201 - this is a program

    def fault(self, kind: str) -> None:
        """Counts a fault."""
        self.faults[kind] += 1
        self.note("fault", kind)

    def check(self, law: str, holds: object, *detail: object) -> None:
        """Counts a check of a law, and notes it if it is broken."""
        self.checked += 1
        if not holds:
            self.breaks(law, detail)

    def breaks(self, law: str, detail: object) -> None:
        """Notes a broken law."""
        self.counts[f"broken: {law}"] += 1
        if self.counts[f"broken: {law}"] <= _SHOWN:
            self.broken.append(Broken(law, str(detail)[:2000], round(self._time(), 2)))
        self.note("BROKEN", law, detail)
