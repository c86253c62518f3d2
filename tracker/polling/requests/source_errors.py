"""The boundary around calls of sources, which applications may write themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging import Logger

from tracker.errors import RunfoldError, Unreachable


@contextmanager
def unexpected_as_unreachable(
    logger: Logger, subject: str, fields: Callable[[str], Mapping[str, str]]
) -> Iterator[None]:
    """Raises Unreachable in place of an unexpected exception, which is logged.

    A source may raise anything; its runs must not be lost for it. `subject` begins the log
    message, and `fields` returns the attributes of its record.
    """
    try:
        yield
    except RunfoldError:
        raise
    except Exception as error:
        logger.exception("%s: the source failed", subject, extra=fields(subject))
        raise Unreachable(f"{type(error).__name__}: {error}") from error
