"""Both folds give the same answers, over generated histories on both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from projections.database.engine import open_engine
from tests.second_fold.databases import Databases
from tests.second_fold.histories import Histories
from tests.support.examples import examples
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration

SLICES, DATABASES = 10, examples(100)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(tmp_path_factory.mktemp("second_fold"))


@pytest.fixture(scope="module")
def postgresql(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    databases = Databases(tmp_path_factory.mktemp("second_fold"), postgres)
    yield databases
    databases.close()


@pytest.mark.parametrize("first", [0, 5, 10])
def test_a_few_databases_on_sqlite(sqlite: Databases, first: int) -> None:
    for seed in range(first, first + 5):
        assert sqlite.compare(seed, questions=2) == []


@pytest.mark.parametrize("seed", range(1000, 1003))
def test_a_few_databases_on_postgresql(postgresql: Databases, seed: int) -> None:
    assert postgresql.compare(seed, questions=2) == []


@pytest.mark.seeds
@pytest.mark.parametrize("part", range(SLICES))
def test_many_databases(sqlite: Databases, postgresql: Databases, part: int) -> None:
    size = DATABASES // SLICES
    for seed in range(part * size, (part + 1) * size):
        databases = sqlite if seed // 2 % 4 else postgresql
        assert databases.compare(seed) == []


def test_a_wrong_number_is_noticed(sqlite: Databases) -> None:
    with sqlite.open(3) as (url, comparison):
        assert comparison.run() == []
        engine = open_engine(url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE cost_totals SET runs = runs + 1"))
            connection.execute(text("UPDATE runs SET model = 'other', version = version + 1"))
            connection.execute(text("UPDATE usage_totals SET runs = runs + 1"))
        engine.dispose()

        # Not every question is about a sum that is wrong.
        for _ in range(5):
            comparison.ask("after a mistake")

    assert any("runs()[0]['version']" in it for it in comparison.differences)
    assert any("usage(" in it or "cost(" in it for it in comparison.differences)


def test_equal_seeds_give_equal_histories() -> None:
    def make(seed: int) -> list[int]:
        moves = Histories(seed).make_moves()
        return [len(it.looks) + len(it.appends) + len(it.forgets) for it in moves]

    assert make(7) == make(7)
    assert make(7) != make(8)
