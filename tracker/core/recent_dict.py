"""A dict of limited size, which keeps the entries used last."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class RecentDict(Generic[Key, Value]):
    """The entries used last, at most `capacity` of them. Reading an entry uses it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        """True if there is an entry; does not use it."""
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """Returns the value of a key, None if there is none."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def recent(self, most: int) -> list[tuple[Key, Value]]:
        """Returns the entries used last, at most `most` of them, the last one first."""
        return list(islice(reversed(self._entries.items()), most))

    def put(self, key: Key, value: Value) -> None:
        """Adds or replaces an entry; drops the one that was not used for longest if too many."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def pop(self, key: Key) -> Value | None:
        """Removes an entry, if there is one, and returns its value."""
        return self._entries.pop(key, None)

    def clear(self) -> None:
        """Removes all entries."""
        self._entries.clear()
