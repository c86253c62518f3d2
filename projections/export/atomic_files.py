"""Files that are there when all of them is, and what packs them."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from tracker.errors import SettingsError


@contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """A file to write, that has its name and its place once the block has ended without an error.

    Until then, and after a kill, it is `NAME.part` beside it, and a file of that name is as it
    was. Raises SettingsError where it cannot be written.
    """
    part = None
    try:
        # A pipe or a device is written to as it is.
        if not file.exists() or file.is_file():
            part = file.with_name(f"{file.name}.part")
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


@contextmanager
def packed(opened: BinaryIO) -> Iterator[BinaryIO]:
    """What packs by gzip what is written to it; the same bytes for the same bytes."""
    # Neither name nor time in it.
    with gzip.GzipFile("", "wb", fileobj=opened, mtime=0) as file:
        yield cast("BinaryIO", file)


def make_folder(folder: Path) -> None:
    """Makes a folder where there is none. Raises SettingsError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made: {error.strerror or error}") from None
