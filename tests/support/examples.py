"""The number of examples of a property: a third of it, unless the thorough profile is chosen."""

from hypothesis import settings

THOROUGH = 100


def examples(number: int) -> int:
    """Returns how many examples to try of the `number` that the thorough profile tries."""
    return max(number * settings.default.max_examples // THOROUGH, 3)
