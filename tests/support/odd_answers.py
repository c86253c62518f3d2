"""Answers of an odd service, as the odd documents describe them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.scripted_server import Reply


@dataclass(frozen=True)
class TextReply(Reply):
    """A reply whose body is sent as it is."""

    text: str = ""

    def encode(self, now: datetime) -> bytes:
        head, _, _ = super().encode(now).partition(b"\r\n\r\n")
        body = self.text.encode()
        length = f"Content-Length: {len(body)}".encode()
        lines = [length if it.startswith(b"Content-Length") else it for it in head.split(b"\r\n")]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


def reply_of(body: Mapping[str, Any] | str, status: int = 200) -> Reply:
    """Returns a reply with a body, which may be text that no encoder would write."""
    return TextReply(status, {}, {}, body if isinstance(body, str) else json.dumps(body))


def replies_of(answers: list[dict[str, Any]]) -> list[Reply]:
    """Returns the answers of a case, in order."""
    return [reply_of(answer["body"], answer["status"]) for answer in answers]
