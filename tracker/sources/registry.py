"""The sources of one tracker, found by name, by API, or by the format of a document."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from tracker.core.identifiers import is_source_name
from tracker.errors import PayloadError, SettingsError
from tracker.sources.detection import describe_other, is_step, names_other_object
from tracker.sources.source import Source

logger = logging.getLogger("runfold.sources")

Resource = TypeVar("Resource")


class SourceRegistry(Mapping[str, Source]):
    """Sources by name. A single source needs no name: it is found by None.

    Raises SettingsError for two sources with one name or an unusable one, and for a lookup without
    a single result.
    """

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = {source.name: source for source in sources}
        for name in self._sources:
            if not is_source_name(name):
                raise SettingsError(
                    f"a source cannot be named {str(name)[:80]!r}: take up to 256 visible "
                    "characters, no colon, and not 'configuration', which the store uses itself"
                )
        if len(self._sources) != len(sources):
            raise SettingsError("two sources have one name: give each its own, name='…'")

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def named(self, name: str | None) -> Source:
        """Returns the source of a name; for None the only source."""
        if name is None and len(self) == 1:
            return next(iter(self.values()))
        if name is None or name not in self:
            known = ", ".join(sorted(self)) or "none"
            raise SettingsError(f"source {name!r} is not one of the tracker's: {known}")
        return self._sources[name]

    def recognising(self, document: Mapping[str, Any]) -> Source:
        """Returns the source that recognises a document, or the only source.

        Raises PayloadError for a document that no source recognises and that names another object.
        """
        if len(self) == 1:
            return next(iter(self.values()))
        found = [source for source in self.values() if recognises(source, document)]
        if len(found) == 1:
            return found[0]
        if not found and (names_other_object(document) or is_step(document)):
            raise PayloadError(describe_other(document))
        names = ", ".join(sorted(source.name for source in found)) or "none of the tracker's"
        raise SettingsError(f"the document has the shape of {names}: say which, source='…'")

    def named_as(self, resource: type[Resource], name: str) -> Resource:
        """Returns the source of a name. Raises SettingsError if it has no such resource."""
        source = self.named(name)
        if not isinstance(source, resource):
            raise SettingsError(f"the source {name!r} has no {resource.__name__} resource")
        return source

    def only_name_of(self, resource: type[Any], instead: str) -> str:
        """Returns the name of the only source with this resource.

        `instead` goes into the error: the argument or call that names one of several.
        """
        names = [name for name, source in self.items() if isinstance(source, resource)]
        if len(names) != 1:
            raise SettingsError(
                f"{len(names)} sources have the {resource.__name__} resource: "
                f"say which, with {instead}"
            )
        return names[0]


def recognises(source: Source, document: Mapping[str, Any]) -> bool:
    """True if a source recognises a document; one that raises instead does not."""
    try:
        return source.recognises(document)
    except Exception as error:
        # A source may be the application's own, and the document another source's.
        logger.warning("%s: recognises raised %s: %s", *(source.name, type(error).__name__, error))
        return False
