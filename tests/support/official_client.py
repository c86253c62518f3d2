"""Marks of the tests that call the official client."""

import pytest

# The client warns that the Assistants API is deprecated, at its import and at each call.
IGNORES_DEPRECATIONS = [
    pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]
