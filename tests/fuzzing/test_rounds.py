"""A short round of odd documents through each door, on both databases."""

import pytest

from tests.fuzzing.bases import make_bases
from tests.fuzzing.doors import DOORS
from tests.fuzzing.mutator import Mutator
from tests.fuzzing.rounds import play_round
from tests.support.examples import examples

pytestmark = [pytest.mark.integration, pytest.mark.fuzzing]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("door", DOORS)
def test_a_short_round(door: str, seed: int, database_url: str) -> None:
    play_round(door, seed, examples(300), lambda folder: database_url, reduces=False)


def test_equal_seeds_give_equal_documents() -> None:
    def make() -> list[bytes]:
        mutator = Mutator(7, make_bases())
        return [mutator.encode(mutator.make()) for _ in range(50)]

    assert make() == make()
    assert len(set(make())) > 40
