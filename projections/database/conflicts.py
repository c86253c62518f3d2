"""Transactions that are tried again after a deadlock or a serialization failure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from projections.database.refusals import is_conflict

_ATTEMPTS = 6
# The longest pause before the second attempt; it doubles with each one.
_PAUSE_SECONDS = 0.02

_Result = TypeVar("_Result")


def retry_conflicts(transact: Callable[[], _Result]) -> _Result:
    """Returns the result of a whole transaction, tried up to six times.

    It is tried again if the database ended it in favour of another one. Raises its last error.
    """
    for attempt in range(_ATTEMPTS - 1):
        try:
            return transact()
        except DBAPIError as error:
            if not is_conflict(error):
                raise
        # At random, so that those that met once do not meet again.
        time.sleep(random.uniform(0, _PAUSE_SECONDS * 2**attempt))
    return transact()
