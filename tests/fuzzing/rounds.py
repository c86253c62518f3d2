"""Rounds of odd documents: each on a fresh database, through one door."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.fuzzing.bases import make_bases
from tests.fuzzing.doors import DOORS, WELL_FORMED
from tests.fuzzing.laws import check_tables
from tests.fuzzing.mutator import Mutator
from tests.support.postgres import running_postgres

# Gives the URL of a fresh database in a folder.
MakeDatabase = Callable[[Path], str]


class FailedRound(AssertionError):
    """A round that broke a law, with the fewest documents found that do."""


def play_round(
    door: str, seed: int, size: int, make_database: MakeDatabase, *, reduces: bool = True
) -> None:
    """Hands in `size` documents, and checks the laws. Raises FailedRound with what broke one.

    Even seeds give each document a run of its own, odd ones let them share runs. With `reduces`,
    a failed round is tried again with ever fewer documents, each time on another database.
    """
    own_ids = seed % 2 == 0
    mutator = Mutator(f"{door} {seed}", make_bases(), own_ids=own_ids)
    whole = door in WELL_FORMED
    documents = [mutator.encode(mutator.make(), well_formed=whole) for _ in range(size)]
    error = _attempt(door, documents, own_ids, make_database)
    if error is not None:
        fewest = documents
        if reduces:
            fewest = _reduce(door, documents, own_ids, make_database)
            error = _attempt(door, fewest, own_ids, make_database) or error
        text = b"\n".join(fewest[:20])[:20_000].decode("utf-8", "replace")
        raise FailedRound(f"{door}, seed {seed}: {error!r}\n{text}") from error


def _attempt(
    door: str, documents: Sequence[bytes], own_ids: bool, make_database: MakeDatabase
) -> BaseException | None:
    with tempfile.TemporaryDirectory() as folder:
        url = make_database(Path(folder))
        try:
            DOORS[door](url, Path(folder), documents, own_ids)
            check_tables(url)
        except Exception as error:
            return error
    return None


def _reduce(
    door: str, documents: Sequence[bytes], own_ids: bool, make_database: MakeDatabase
) -> list[bytes]:
    """Returns few of the documents that still break a law, by leaving out ever smaller parts."""
    kept, part = list(documents), max(1, len(documents) // 2)
    attempts = 60
    while attempts:
        place = 0
        while place < len(kept) and attempts:
            attempts -= 1
            fewer = kept[:place] + kept[place + part :]
            if fewer and _attempt(door, fewer, own_ids, make_database) is not None:
                kept = fewer
            else:
                place += part
        if part == 1:
            break
        part = max(1, part // 2)
    return kept


@contextmanager
def databases(kind: str) -> Iterator[MakeDatabase]:
    """Yields what makes fresh databases, `sqlite` or `postgresql`."""
    if kind == "sqlite":
        yield lambda folder: f"sqlite:///{folder}/odd.db"
        return
    numbers = count(1)
    with running_postgres() as server:

        def make(folder: Path) -> str:
            name = f"odd_{next(numbers)}"
            if name != "odd_1":
                server.execute(f"DROP DATABASE IF EXISTS odd_{int(name[4:]) - 1} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
            return server.url(name)

        yield make
