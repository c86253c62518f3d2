"""Reading of a document field by field: one that cannot be read counts as not said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tracker.core.identifiers import Identifier
from tracker.core.json_values import storable
from tracker.core.snapshot import RunError
from tracker.sources.counts import read_count
from tracker.sources.stamps import read_stamp, says_no_time

# Fields of a call whose values may all be objects.
_OF_A_CALL = frozenset({"function", "id", "type", "name"})
_identifiers: TypeAdapter[str] = TypeAdapter(Identifier)


def text_of(value: object) -> str | None:
    """Returns a text as it is, and another value as its JSON."""
    if value is None:
        return None
    kept = storable(value)
    return kept if isinstance(kept, str) else json.dumps(kept, ensure_ascii=False)


def read_calls(fields: Fields, document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Returns the calls in an array; also a single one, and those of an object of calls.

    Names in `fields` an array with something else than calls, which is left out.
    """
    value = document.get(name)
    if value is None:
        return []
    if isinstance(value, Mapping):
        # PHP writes an array with a gap, or without entries, as an object.
        are_calls = all(isinstance(it, dict) for it in value.values())
        is_one = not are_calls or value.keys() & _OF_A_CALL
        value = [value] if is_one else [*value.values()]
        fields.found.add(f"wrong_type_{name}")
    calls = [it for it in value if isinstance(it, dict)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(calls) < len(value):
        fields.found.add(f"unreadable_{name}")
    return calls


class Fields:
    """The fields of a document, and the names of the peculiarities that were found in them.

    The methods return None for a field that is missing, null, or unreadable; the last one is
    found as `unreadable_…`, and a value of another type that was read as `wrong_type_…`.
    """

    def __init__(self, document: Mapping[str, Any], found: set[str] | None = None) -> None:
        self.document = document
        self.found: set[str] = set() if found is None else found

    def text(self, name: str) -> str | None:
        """Returns a name or an id. A number is its digits, an object its `id` or `name`."""
        value = self.document.get(name)
        if value is None:
            return None
        if isinstance(value, str):
            return storable(value) or None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            read = _digits_of(value)
        else:
            read = _named_in(value, ("id", "name"))
        return self._note(name, read)

    def named(self, name: str, *keys: str) -> str | None:
        """Returns a text, or the first text under one of `keys` in an object."""
        value = self.document.get(name)
        if isinstance(value, Mapping) or value == []:
            return _named_in(self.object(name), keys)
        return self.text(name)

    def identifier(self, name: str) -> str | None:
        """Returns the id of another run."""
        value = self.document.get(name)
        if value is None or value == "":
            return None
        try:
            return _identifiers.validate_python(value, strict=True)
        except ValidationError:
            self._lose(name)
            return None

    def prose(self, name: str) -> str | None:
        """Returns a text for people to read; another value is its JSON."""
        value = self.document.get(name)
        if value is None or isinstance(value, str):
            return text_of(value)
        is_nothing = isinstance(value, bool) or value in ([], {})
        return self._note(name, None if is_nothing else text_of(value))

    def stamp(self, name: str) -> datetime | None:
        """Returns a time in UTC."""
        value = self.document.get(name)
        if value is None:
            return None
        moment = read_stamp(value)
        if moment is None:
            if not says_no_time(value):
                self._lose(name)
            return None
        if isinstance(value, Mapping):
            self.found.add(f"wrong_type_{name}")
        return moment

    def count(self, *names: str) -> int | None:
        """Returns the first readable count under one of `names`."""
        for name in names:
            value = self.document.get(name)
            if value is None:
                continue
            count = read_count(value)
            if count is not None:
                if isinstance(value, str):
                    self.found.add(f"wrong_type_{name}")
                return count
            is_negative = isinstance(value, (int, float)) and value < 0
            self.found.add("negative_tokens" if is_negative else f"unreadable_{name}")
        return None

    def object(self, name: str) -> Mapping[str, Any] | None:
        """Returns an object."""
        value = self.document.get(name)
        if value is None or isinstance(value, Mapping):
            return value
        if value == []:
            self.found.add("empty_array_for_object")
            return None
        self._lose(name)
        return None

    def part(self, name: str) -> Fields:
        """Returns the fields of an object in this document; of an empty one if there is none."""
        return Fields(self.object(name) or {}, self.found)

    def list(self, name: str) -> list[Any] | None:
        """Returns an array."""
        value = self.document.get(name)
        if value is None or isinstance(value, list):
            return value
        self._lose(name)
        return None

    def metadata(self) -> dict[str, Any] | None:
        """Returns the metadata: empty for null, None if nothing is said of it."""
        if "metadata" not in self.document:
            return None
        value = self.document["metadata"]
        if value is None or value == []:
            self.object("metadata")
            return {}
        found = self.object("metadata")
        return None if found is None else dict(found)

    def reason(self, name: str) -> str | None:
        """Returns the `reason` in an object, or the text in its place."""
        value = self.document.get(name)
        if isinstance(value, str):
            return self._note(name, storable(value) or None)
        return self.part(name).text("reason")

    def error(self, name: str) -> RunError | None:
        """Returns an error; a value that is no object is its message."""
        value = self.document.get(name)
        if isinstance(value, Mapping):
            fields = Fields(value, self.found)
            return RunError(code=fields.text("code"), message=fields.prose("message"))
        if isinstance(value, str):
            return RunError(message=text_of(value)) if value else None
        if not value or isinstance(value, bool):
            self.object(name)
            return None
        return RunError(message=self.prose(name))

    def _note(self, name: str, read: str | None) -> str | None:
        if read is None:
            self._lose(name)
            return None
        self.found.add(f"wrong_type_{name}")
        return read

    def _lose(self, name: str) -> None:
        self.found.add(f"unreadable_{name}")


def _digits_of(value: object) -> str | None:
    if isinstance(value, float):
        if not isfinite(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else str(value)
    return str(value) if storable(value) is not None else None


def _named_in(value: object, keys: tuple[str, ...]) -> str | None:
    if not isinstance(value, Mapping):
        return None
    texts = (value.get(key) for key in keys)
    found = next((it for it in texts if isinstance(it, str) and it), None)
    return None if found is None else str(storable(found))
