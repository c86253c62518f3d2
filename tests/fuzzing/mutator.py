"""Mutations of documents that know their structure."""

import copy
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

_DEEP = re.compile(rb'"@deep (\d+)@"')
_SURROGATE, _CONTROLS, _DIRECTIONS = "\ud800", "\x00\x01\x1f\x7f", "\u202e\u2066\u200f\x85"
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    10.5,
    10.0,
    1e23,
    -0.0,
    math.nan,
    math.inf,
    -math.inf,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**30,
    "",
    " ",
    "null",
    "10",
    "1e3",
    "NaN",
    _SURROGATE,
    _CONTROLS,
    _DIRECTIONS,
    "a:b",
    "run_1",
    "\ufeff",
    "\U0001f680" * 300,
    "x" * 2_000,
    "'\"\\;--",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": _SURROGATE},
    {_SURROGATE: 1, "b\x00": 2},
    "@deep 63@",
    "@deep 70@",
    "@deep 199@",
    "@deep 400@",
    # Moments.
    946_684_800,
    946_684_799,
    1_767_261_605,
    1_767_261_605_000,
    1_767_261_605_123_456,
    7_258_118_400,
    253_402_300_800,
    -62_135_596_800,
    "0001-01-01T00:00:00Z",
    "0000-00-00 00:00:00",
    "9999-12-31T23:59:59.9999999Z",
    "1970-01-01T00:00:00+00:00",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "2026-01-01T10:00:05.123456789+05:30",
    "2026-02-30T10:00:00Z",
    "1767261605",
    "1767261605.5",
    # Statuses and objects.
    "completed",
    "requires_action",
    "in_progress",
    "COMPLETED",
    "paused",
    "thread.run",
    "response",
    "batch",
    "list",
)
_NAMES = (
    "usage",
    "createdAt",
    "created_at",
    "completed_at",
    "input_tokens",
    "promptTokens",
    "metadata",
    "required_action",
    "error",
    "last_error",
    "status",
    "object",
    "thread_id",
    "tools",
    "type",
    "data",
    "body",
    "observed_at",
    "source",
    "event",
    "é",
)


class Mutator:
    """Makes odd documents from bases; equal seeds give equal documents.

    With `own_ids` each document is a run of its own; else they share some runs and threads.
    `prefix` begins their ids.
    """

    def __init__(
        self,
        seed: int | str,
        bases: Sequence[dict[str, Any]],
        *,
        own_ids: bool = False,
        prefix: str = "run_odd",
    ) -> None:
        self._random = random.Random(seed)
        self._bases = bases
        self._own_ids, self._prefix = own_ids, prefix
        self._number = 0

    def make(self) -> dict[str, Any]:
        """Returns a document with one to four changes."""
        chance = self._random
        document: dict[str, Any] = copy.deepcopy(chance.choice(self._bases))
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
            self._change(document)
        self._identify(document)
        return document

    def encode(self, document: dict[str, Any], *, well_formed: bool = False) -> bytes:
        """Returns a document as one line of JSON, sometimes broken unless `well_formed`."""
        chance = self._random
        ascii_only = well_formed or chance.random() < 0.8
        text = json.dumps(document, ensure_ascii=ascii_only)
        body = _DEEP.sub(lambda it: _nest(int(it[1])), text.encode("utf-8", "surrogatepass"))
        if not well_formed and chance.random() < 0.03:
            body = self._break(body)
        return body.replace(b"\n", b" ").replace(b"\r", b" ")

    def _change(self, document: dict[str, Any]) -> None:
        parent, key = self._find_place(document)
        changes: tuple[Callable[[Any, Any], None], ...] = (
            self._replace,
            self._replace,
            self._replace,
            self._remove,
            self._wrap,
            self._as_text,
            self._exchange,
            self._add,
            self._rename,
            self._cross,
        )
        self._random.choice(changes)(parent, key)

    def _find_place(self, document: dict[str, Any]) -> tuple[Any, Any]:
        """Returns a container of the document, and a key or index in it."""
        parent: Any = document
        while True:
            keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
            if not keys:
                return document, self._random.choice([*document, "status"])
            key = self._random.choice(keys)
            inner = parent[key]
            if not isinstance(inner, dict | list) or not inner or self._random.random() < 0.3:
                return parent, key
            parent = inner

    def _replace(self, parent: Any, key: Any) -> None:
        parent[key] = copy.copy(self._random.choice(_ODD))

    def _remove(self, parent: Any, key: Any) -> None:
        if isinstance(parent, dict):
            parent.pop(key, None)
        else:
            del parent[key]

    def _wrap(self, parent: Any, key: Any) -> None:
        inner = parent[key] if isinstance(parent, list) else parent.get(key)
        parent[key] = self._random.choice(([inner], {"value": inner}, [inner, inner]))

    def _as_text(self, parent: Any, key: Any) -> None:
        inner = parent[key] if isinstance(parent, list) else parent.get(key)
        parent[key] = str(inner)

    def _exchange(self, parent: Any, key: Any) -> None:
        if isinstance(parent, dict):
            other = self._random.choice([*parent, "status"])
            parent[key], parent[other] = parent.get(other), parent.get(key)

    def _add(self, parent: Any, key: Any) -> None:
        value = copy.copy(self._random.choice(_ODD))
        if isinstance(parent, dict):
            parent[self._random.choice(_NAMES)] = value
        else:
            parent.append(value)

    def _rename(self, parent: Any, key: Any) -> None:
        if isinstance(parent, dict) and key in parent:
            words = str(key).split("_")
            camel = words[0] + "".join(word.title() for word in words[1:])
            name = self._random.choice((camel, str(key).upper(), self._random.choice(_NAMES)))
            parent[name] = parent.pop(key)

    def _cross(self, parent: Any, key: Any) -> None:
        other = self._random.choice(self._bases)
        parent[key] = copy.deepcopy(other[self._random.choice(list(other))])

    def _identify(self, document: dict[str, Any]) -> None:
        chance = self._random
        self._number += 1
        if not self._own_ids and chance.random() < 0.1:
            # Whatever the changes made of it, but never the id of somebody else's run.
            self._keep_apart(document)
            return
        number = self._number if self._own_ids else chance.randrange(100)
        run_id = f"{self._prefix}_{number}"
        name = "run_id" if "run_id" in document and "step_details" not in document else "id"
        document[name] = run_id
        if "step_details" in document:
            document["run_id"] = run_id
        if "thread_id" in document or chance.random() < 0.5:
            document["thread_id"] = f"thread_odd_{chance.randrange(20)}"
        if document.get("previous_response_id"):
            document["previous_response_id"] = f"{self._prefix}_{chance.randrange(100)}_before"

    def _keep_apart(self, document: dict[str, Any]) -> None:
        for name in ("id", "run_id", "previous_response_id"):
            if isinstance(document.get(name), str) and "good" in document[name]:
                document[name] = "run_odd"

    def _break(self, body: bytes) -> bytes:
        chance = self._random
        place = chance.randrange(len(body))
        return chance.choice(
            (
                body[:place],
                b"\xef\xbb\xbf" + body,
                body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :],
                body + body,
                body[:-1] + b',"status":"failed","status":"completed"}',
                b"[" * 2_000,
                b"",
            )
        )


def _nest(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels
