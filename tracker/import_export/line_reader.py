"""Lines of files and of all files below folders, compressed by gzip or not."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from tracker.errors import PayloadError, SettingsError
from tracker.import_export.line_joiner import NumberedLine, join_lines

ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
# A run has a few kilobytes; a line without an end must not fill the memory.
LONGEST_LINE = 16 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Line(NamedTuple):
    """A line with its place, numbered from 1. `problem` is the reason if it could not be read."""

    file: str
    number: int
    content: bytes
    problem: str | None = None


def files_below(paths: Sequence[Path]) -> list[Path]:
    """Returns the files of `paths`, in this order; of a folder all files of JSON lines below it.

    The files of a folder are sorted, and each file comes once. Raises SettingsError for a missing
    or unreadable file, and for a folder without files; PayloadError for a file in UTF-16.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if _has_lines(each))
            if not found:
                raise SettingsError(f"{path} has no file *{', *'.join(ENDINGS)} below it")
            files += found
        else:
            files.append(path)
    files = list(dict.fromkeys(files))
    for file in files:
        _check(file)
    return files


class LineReader:
    """Iterates over the lines of files, read as needed; a document of several lines is one.

    Files compressed by gzip are decompressed, whatever their name.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._done = 0
        self._current: BufferedReader | None = None
        # Bytes of all files, as stored.
        self.size = sum(file.stat().st_size for file in files)

    @property
    def bytes_read(self) -> int:
        """The bytes read so far, of `size`."""
        current = self._current
        if current is None or current.closed or not current.seekable():
            return self._done
        return self._done + current.tell()

    def __iter__(self) -> Iterator[Line]:
        for file in self._files:
            number = 0
            try:
                with file.open("rb") as stored:
                    self._current = stored
                    for number, content, problem in _documents(stored):
                        yield Line(str(file), number, content, problem)
                    self._current = None
                    self._done += stored.tell() if stored.seekable() else 0
            except (EOFError, OSError, zlib.error) as error:
                problem = f"the file cannot be read from here on: {error}"
                yield Line(str(file), number + 1, b"", problem)


def _has_lines(path: Path) -> bool:
    return path.name.endswith(ENDINGS) and path.is_file()


def _check(file: Path) -> None:
    try:
        # A pipe can be opened and read only once.
        file.stat()
        if not file.is_file():
            return
        with file.open("rb") as opened:
            start = opened.read(2)
    except FileNotFoundError:
        raise SettingsError(f"no file {file}: say which JSON lines to import") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}") from None
    if start in _UTF_16:
        raise PayloadError(f"{file} is UTF-16: save it as UTF-8, and import that")


def _decompress(stored: BufferedReader) -> BinaryIO:
    if stored.peek(len(_GZIP)).startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=stored, mode="rb"))
    return stored


def _documents(stored: BufferedReader) -> Iterator[NumberedLine]:
    """Yields the lines of a file; a document of several lines is one."""
    numbered = ((number, *line) for number, line in enumerate(_lines(stored), 1))
    return join_lines(numbered, LONGEST_LINE)


def _lines(stored: BufferedReader) -> Iterator[tuple[bytes, str | None]]:
    opened = _decompress(stored)
    is_first = True
    while content := opened.readline(LONGEST_LINE):
        if is_first:
            content, is_first = content.removeprefix(codecs.BOM_UTF8), False
        if len(content) < LONGEST_LINE or content.endswith(b"\n"):
            yield content, None
            continue
        while content and not content.endswith(b"\n"):
            content = opened.readline(LONGEST_LINE)
        yield b"", f"longer than {LONGEST_LINE // 1024**2} MB: write one document a line"
