"""Server-sent events from bytes that come in any pieces, as the WHATWG reads them. Pure."""

from __future__ import annotations

from typing import NamedTuple

# As much as a run may take when it is asked for.
EVENT_CAP = 2_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One whole event: its name, empty where none was sent, and its data."""

    event: str
    data: bytes


class EventParser:
    """Takes a stream in pieces, cut anywhere, and gives the events that are whole.

    An event of more than `cap` bytes is left out and counted in `dropped`; memory stays within
    the cap and one piece.
    """

    def __init__(self, cap: int = EVENT_CAP) -> None:
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
        """The events that this piece makes whole."""
        if self._is_after_return and piece:
            # The two bytes of one line end may come apart.
            self._is_after_return = False
            piece = piece.removeprefix(b"\n")
        events: list[ServerSentEvent] = []
        # Of bytes, these are CR, LF and CRLF and no others.
        lines = piece.splitlines(keepends=True)
        for line in lines:
            content = line.rstrip(b"\r\n")
            is_whole = len(content) < len(line)
            if self._is_within_line or not is_whole:
                self._hold(content)
                self._is_within_line = not is_whole
                if not is_whole:
                    break
                content = bytes(self._line)
                self._line.clear()
                if self._is_too_large and not content:
                    # The rest of a line that was let go, and no empty one.
                    continue
            event = self._take(content)
            if event is not None:
                events.append(event)
        self._is_after_return = piece.endswith(b"\r")
        return events

    def _hold(self, content: bytes) -> None:
        left = self._cap - self._size - len(self._line)
        if len(content) > left:
            self._is_too_large = True
        self._line += content[: max(left, 0)]

    def _take(self, line: bytes) -> ServerSentEvent | None:
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
