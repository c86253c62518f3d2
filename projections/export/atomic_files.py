"""Atomic file writes (temporary file, then rename), plain or gzip."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from tracker.errors import SettingsError
from tracker.event_store.database_file import BESIDE_DATABASE


@contextmanager
def open_atomic(file: Path) -> Iterator[BinaryIO]:
    """Yields a file to write, which replaces `file` when the block ends without an error.

    Until then it is written as `NAME.part` beside it, which remains after a kill, and an existing
    file is unchanged. Raises SettingsError where it cannot be written.
    """
    part = None
    try:
        # Pipes and devices are written directly.
        if not file.exists() or file.is_file():
            part = _part_of(file)
        with (part or file).open("wb") as opened:
            yield opened
            if part is not None:
                opened.flush()
                os.fsync(opened.fileno())
        if part is not None:
            part.replace(file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def refuse_database(file: Path, database: Path) -> None:
    """Raises SettingsError if writing a file would destroy a database, or a file beside it.

    The file may be the database under another name: through a link, or another path.
    """
    kept = [database, *(database.with_name(f"{database.name}{end}") for end in BESIDE_DATABASE)]
    if any(_is_same(written, it) for written in (file, _part_of(file)) for it in kept):
        raise SettingsError(
            f"{file} cannot be written: the database {database} is there, which is what is "
            "exported; name another file"
        )


def _part_of(file: Path) -> Path:
    return file.parent / f"{file.name}.part"


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def open_gzip(opened: BinaryIO) -> Iterator[BinaryIO]:
    """Yields a file that writes gzip to `opened`; equal input gives equal output."""
    # Without a name and a time in the header.
    with gzip.GzipFile("", "wb", fileobj=opened, mtime=0) as file:
        yield cast("BinaryIO", file)


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents. Raises SettingsError where this is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be created: {error.strerror or error}") from None
