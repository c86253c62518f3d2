"""Times of events are within the years 1 to 9999 in UTC, whatever their offset."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from projections.folding.micros import micros, moment_of, utc_text
from tests.support.observations import seen
from tracker.core.events import RunVanished
from tracker.errors import UnreadableEvent
from tracker.event_store.codec import decode, encode

_offsets = st.integers(-23 * 60, 23 * 60).map(lambda it: timezone(timedelta(minutes=it)))
_ends = st.sampled_from([datetime.min, datetime.max])  # noqa: DTZ901 - each gets an offset


@given(
    st.datetimes(timezones=_offsets)
    | st.builds(datetime.combine, _ends, _ends.map(datetime.time), _offsets)
)
def test_a_time_is_refused_or_can_be_stored(moment: datetime) -> None:
    try:
        event = RunVanished(observed_at=moment)
    except ValidationError:
        with pytest.raises(OverflowError):
            moment.astimezone(UTC)
        return
    read = decode(*encode(event))
    assert read == event
    number = micros(read.observed_at)
    assert moment_of(number) == moment
    text = utc_text(number)
    assert text is not None
    assert datetime.fromisoformat(f"{text}+00:00") == moment
    assert len(text) == len("2026-01-01 10:00:00.000000")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_outside_of_all_years(text: str) -> None:
    with pytest.raises(UnreadableEvent):
        decode("run.vanished/1", f'{{"observed_at":"{text}"}}'.encode())
    assert seen("queued", 1, created_at=datetime.fromisoformat(text)).created_at is None
