"""Incremental parsing of server-sent events, as the WHATWG specifies it."""

from __future__ import annotations

from typing import NamedTuple

# The limit of a run that is polled.
EVENT_CAP = 2_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event: its name, empty if none was sent, and its data."""

    event: str
    data: bytes


class EventParser:
    """Parses a stream in pieces, which may be cut anywhere.

    An event of more than `cap` bytes is dropped; memory stays within the cap and one piece.
    """

    def __init__(self, cap: int = EVENT_CAP) -> None:
        # Events dropped so far.
        self.dropped = 0
        self._cap = cap
        self._line = bytearray()
        self._is_within_line = False
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self._is_too_large = False
        self._is_after_return = False
        self._is_first = True

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Returns the events that this piece completes."""
        if self._is_after_return and piece:
            # CR and LF of one line end may be in two pieces.
            self._is_after_return = False
            piece = piece.removeprefix(b"\n")
        events: list[ServerSentEvent] = []
        # For bytes, the line ends are CR, LF and CRLF.
        lines = piece.splitlines(keepends=True)
        for line in lines:
            content = line.rstrip(b"\r\n")
            is_complete = len(content) < len(line)
            if self._is_within_line or not is_complete:
                self._extend_line(content)
                self._is_within_line = not is_complete
                if not is_complete:
                    break
                content = bytes(self._line)
                self._line.clear()
                if self._is_too_large and not content:
                    # The end of a dropped line is not an empty line.
                    continue
            event = self._parse_line(content)
            if event is not None:
                events.append(event)
        self._is_after_return = piece.endswith(b"\r")
        return events

    def _extend_line(self, content: bytes) -> None:
        left = self._cap - self._size - len(self._line)
        if len(content) > left:
            self._is_too_large = True
        self._line += content[: max(left, 0)]

    def _parse_line(self, line: bytes) -> ServerSentEvent | None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._cap:
                self._is_too_large = True
            if self._is_too_large:
                self._data.clear()
            else:
                self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data = self._event, self._data
        is_too_large = self._is_too_large
        self._event, self._data, self._size, self._is_too_large = "", [], 0, False
        if is_too_large:
            self.dropped += 1
            return None
        return ServerSentEvent(event, b"\n".join(data)) if data else None
