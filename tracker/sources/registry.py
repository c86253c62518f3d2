"""The sources of one tracker, by name, by what they speak, and by the shape of a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from tracker.errors import SettingsError
from tracker.sources.source import Source

Speaking = TypeVar("Speaking")


class SourceRegistry(Mapping[str, Source]):
    """Sources by name. Raises SettingsError where two have one name, or a question has no answer.

    Where there is only one, it needs no name.
    """

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = {source.name: source for source in sources}
        if len(self._sources) != len(sources):
            raise SettingsError("two sources have one name: give each its own, name='…'")

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def named(self, name: str | None) -> Source:
        """The source of that name, or the only one there is."""
        if name is None and len(self) == 1:
            return next(iter(self.values()))
        if name is None or name not in self:
            known = ", ".join(sorted(self)) or "none"
            raise SettingsError(f"source {name!r} is not one of the tracker's: {known}")
        return self._sources[name]

    def recognising(self, body: Mapping[str, Any]) -> Source:
        """The source whose shape a document has, or the only one there is."""
        if len(self) == 1:
            return next(iter(self.values()))
        found = [source for source in self.values() if source.recognises(body)]
        if len(found) == 1:
            return found[0]
        shape = ", ".join(sorted(source.name for source in found)) or "none of the tracker's"
        raise SettingsError(f"the document has the shape of {shape}: say which, source='…'")

    def speaking(self, kind: type[Speaking], name: str) -> Speaking:
        """The source of that name, which speaks this API."""
        source = self.named(name)
        if not isinstance(source, kind):
            raise SettingsError(f"the source {name!r} has no {kind.__name__} resource")
        return source

    def only(self, kind: type[Any], instead: str) -> str:
        """The name of the only source that speaks this API; `instead` is where one is said."""
        names = [name for name, source in self.items() if isinstance(source, kind)]
        if len(names) != 1:
            raise SettingsError(
                f"{len(names)} sources have the {kind.__name__} resource: say which, with {instead}"
            )
        return names[0]
