"""Server-sent events in bytes that are cut anywhere, parsed as the WHATWG says."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.ingest.server_sent_events import EventParser, ServerSentEvent

CASES = [
    (b"data: one\n\n", [("", b"one")]),
    (b"event: run\ndata: one\ndata: two\n\n", [("run", b"one\ntwo")]),
    (b"data:one\r\n\r\ndata: two\r\rdata:  3\n\n", [("", b"one"), ("", b"two"), ("", b" 3")]),
    (b"\xef\xbb\xbfdata: one\n\n", [("", b"one")]),
    # Only at the very beginning is it a mark.
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: one\n\n", []),
    (b"data: one\n\n\xef\xbb\xbfdata: two\n\n", [("", b"one")]),
    (b": hello\n: data: one\n\ndata: two\n\n", [("", b"two")]),
    # A name without data is no event, and is not the next one's.
    (b"event: run\n\ndata: one\n\n", [("", b"one")]),
    (b"event: a\nevent: b\ndata: one\n\n", [("b", b"one")]),
    (b"data\n\n", [("", b"")]),
    (b"data\ndata\n\n", [("", b"\n")]),
    (b"data: one\nid: 7\nretry: 10\nnonsense\nno: thing\n\n", [("", b"one")]),
    ("event: ünï\ndata: {\"a\": \"€𝄞\"}\n\n".encode(), [("ünï", '{"a": "€𝄞"}'.encode())]),
    (b"event: \xff\ndata: \xff\x00\n\n", [("\ufffd", b"\xff\x00")]),
    # U+0085 and U+2028 end lines of texts, and none here.
    ("data: a\u0085b\u2028c\x0bd\n\n".encode(), [("", "a\u0085b\u2028c\x0bd".encode())]),
    (b"data: whole\n\ndata: half\n", [("", b"whole")]),
    (b"data: whole\n\ndata: hal", [("", b"whole")]),
    (b"\n\n\r\n\r\r", []),
    (b"", []),
]  # fmt: skip


def parse(*pieces: bytes, cap: int = 1000) -> list[ServerSentEvent]:
    parser = EventParser(cap)
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_a_stream_is_read(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert parse(stream) == expected
    assert parse(*(bytes([byte]) for byte in stream)) == expected
    for cut in range(len(stream)):
        assert parse(stream[:cut], b"", stream[cut:]) == expected


@given(
    st.lists(
        st.sampled_from([b"data: x", b"event: e", b"\n", b"\r", b"\r\n", b":", b"\xff", b"a"])
    ),
    st.data(),
)
def test_where_it_is_cut_does_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*pieces) == parse(stream)


@given(st.integers(0, 60), st.integers(1, 30), st.data())
def test_an_event_over_the_cap_is_left_out_and_those_about_it_are_not(
    size: int, cap: int, data: st.DataObject
) -> None:
    lines = st.binary(max_size=size).map(lambda it: it.replace(b"\n", b"").replace(b"\r", b""))
    values = data.draw(st.lists(lines, min_size=1, max_size=4))
    big = b"".join(b"data: " + value + b"\n" for value in values) + b"\n"
    small = b"event: e\ndata: s\n\n"
    length = data.draw(st.integers(1, 70))
    stream = small + big + small
    parser = EventParser(cap)
    pieces = [stream[at : at + length] for at in range(0, len(stream), length)]
    events = [event for piece in pieces for event in parser.feed(piece)]
    is_whole = ServerSentEvent("", b"\n".join(values)) in events[1:-1]
    if cap >= 10:
        assert events[0] == events[-1] == ("e", b"s")
        assert len(events) == 2 + is_whole
        assert parser.dropped == 1 - is_whole
    if len(big) <= cap:
        assert is_whole
    if sum(len(value) + 1 for value in values) > cap:
        assert not is_whole


def test_a_line_without_an_end_takes_no_more_memory_than_the_cap() -> None:
    parser, piece = EventParser(100_000), b"x" * 50_000
    tracemalloc.start()
    try:
        for _ in range(200):
            assert parser.feed(piece) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert parser.feed(b"\n\ndata: next\n\n") == [("", b"next")]
    assert parser.dropped == 1
