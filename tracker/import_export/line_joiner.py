"""JSON documents of several lines, as `json.dump(…, indent=2)` writes them, joined to one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic_core import from_json

# A line, its number from 1, and the reason if it could not be read.
NumberedLine = tuple[int, bytes, str | None]

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_STARTS = (b"{", b"[")


def join_lines(lines: Iterator[NumberedLine], longest: int) -> Iterator[NumberedLine]:
    """Yields the lines, and for those of one document all of them as one, at its first line.

    The elements of an array that begins with a line of its own are documents by themselves. Lines
    that do not become a document, within `longest` bytes, are yielded as they are.
    """
    is_in_array = False
    for number, content, problem in lines:
        text = content.strip()
        if problem is None and text == b"[":
            is_in_array = True
        elif problem is None and text in (b"]", b"],") and is_in_array:
            is_in_array = False
        elif problem is None and _begins_document(text):
            for at, joined, reason in _join(number, content, lines, longest):
                yield at, _strip_comma(joined) if is_in_array else joined, reason
        else:
            yield number, _strip_comma(content) if is_in_array else content, problem


def _join(
    number: int, first: bytes, lines: Iterator[NumberedLine], longest: int
) -> Iterator[NumberedLine]:
    """Yields a document that begins with a line; the lines as they are if they are none."""
    parts: list[NumberedLine] = [(number, first, None)]
    is_open, size, next_check = _count_open(first), len(first), 2
    while is_open > 0:
        following = next(lines, None)
        if following is None:
            break
        parts.append(following)
        size += len(following[1])
        if following[2] is not None or size > longest:
            break
        is_open += _count_open(following[1])
        if len(parts) == next_check:
            # At ever larger sizes, so that all checks together take as long as the last one.
            next_check *= 2
            if not _may_go_on(b"".join(content for _, content, _ in parts)):
                break
    if is_open > 0:
        yield from parts
    else:
        yield number, b"".join(content for _, content, _ in parts), None


def _begins_document(text: bytes) -> bool:
    if not text.startswith(_STARTS):
        return False
    # The usual line is a whole document, told without a search for the texts in it.
    is_whole = text.endswith((b"}", b"]")) and _count_brackets(text) == 0
    return not is_whole and _count_open(text) > 0


def _count_open(line: bytes) -> int:
    """Returns the number of objects and arrays that a line opens and does not close."""
    return _count_brackets(_TEXT.sub(b"", line))


def _count_brackets(line: bytes) -> int:
    return line.count(b"{") + line.count(b"[") - line.count(b"}") - line.count(b"]")


def _may_go_on(beginning: bytes) -> bool:
    """True if a text can be the beginning of a JSON document."""
    try:
        from_json(beginning.rstrip(), allow_partial=True)
    except ValueError:
        return False
    return True


def _strip_comma(content: bytes) -> bytes:
    return content.rstrip().removesuffix(b",")
