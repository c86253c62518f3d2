"""A dict of limited size, compared with a list of the entries in the order of their use."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.core.recent_dict import RecentDict

_steps = st.lists(st.tuples(st.sampled_from(["put", "get", "pop"]), st.integers(0, 5)), max_size=40)


@given(st.integers(1, 4), _steps)
def test_the_entries_used_last_are_kept(capacity: int, steps: list[tuple[str, int]]) -> None:
    found: RecentDict[int, str] = RecentDict(capacity)
    expected: dict[int, str] = {}
    for number, (step, key) in enumerate(steps):
        known = expected.pop(key, None)
        if step == "put":
            known = str(number)
            found.put(key, known)
        elif step == "get":
            assert found.get(key) == known
        else:
            assert found.pop(key) == known
            known = None
        if known is not None:
            expected[key] = known
        while len(expected) > capacity:
            del expected[next(iter(expected))]
        assert len(found) == len(expected)
        assert [key in found for key in range(6)] == [key in expected for key in range(6)]
    found.clear()
    assert len(found) == 0
