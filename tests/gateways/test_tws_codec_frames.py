"""Frames and the greeting: any cutting of a stream gives the same payloads; faults are found early."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.gateways.tws_codec import (
    MAX_FRAME,
    PREFIX,
    ClientHello,
    FrameReader,
    ServerHello,
    WireError,
    decode_client_hello,
    decode_server_hello,
    encode_client_hello,
    encode_server_hello,
    frame,
    negotiate,
)

PAYLOADS = st.lists(st.binary(min_size=1, max_size=30), max_size=6)


@given(payloads=PAYLOADS, cuts=st.lists(st.integers(0, 250)), prefixed=st.booleans())
def test_frames_come_out_however_the_stream_is_cut(payloads: list[bytes], cuts: list[int], prefixed: bool) -> None:
    stream = (PREFIX if prefixed else b"") + b"".join(map(frame, payloads))
    reader = FrameReader(expects_prefix=prefixed)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert [got for start, end in pairwise(places) for got in reader.feed(stream[start:end])] == payloads


def test_frames_that_were_not_taken_come_with_the_next() -> None:
    reader = FrameReader()
    reader.feed(frame(b"a") + frame(b"b"))
    assert next(reader.feed(frame(b"c"))) == b"a"
    assert list(reader.feed(b"")) == [b"b", b"c"]


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 2**32 - 1, int.from_bytes(b"GET ")])
def test_an_impossible_length_ends_the_stream_behind_the_last_good_frame(length: int) -> None:
    reader = FrameReader()
    frames = reader.feed(frame(b"good") + length.to_bytes(4) + b"rest")
    assert next(frames) == b"good"
    with pytest.raises(WireError, match="length"):
        next(frames)
    with pytest.raises(WireError, match="length"):
        list(reader.feed(frame(b"more")))


def test_the_longest_frame_passes_and_one_byte_more_does_not() -> None:
    longest = b"\0" * MAX_FRAME
    assert list(FrameReader().feed(frame(longest))) == [longest]
    for payload in (longest + b"\0", b""):
        with pytest.raises(WireError, match="length"):
            frame(payload)


@pytest.mark.parametrize("data", [b"6", b"62\0", b"GET / HTTP/1.1", b"AP\0", b"API1", b"\0"])
def test_another_greeting_is_known_from_its_first_wrong_byte(data: bytes) -> None:
    with pytest.raises(WireError, match="prefix"):
        list(FrameReader(expects_prefix=True).feed(data))


@pytest.mark.parametrize(
    ("payload", "hello"),
    [
        (b"v157..176", ClientHello(157, 176)),
        (b"v100..225 +PACEAPI", ClientHello(100, 225, "+PACEAPI")),
        (b"v157", ClientHello(157, 157)),
    ],
)
def test_a_client_says_its_versions(payload: bytes, hello: ClientHello) -> None:
    assert decode_client_hello(payload) == hello
    sent = FrameReader(expects_prefix=True).feed(encode_client_hello(hello))
    assert [decode_client_hello(got) for got in sent] == [hello]


@given(payload=st.binary(max_size=2000) | st.binary(max_size=20).map(lambda tail: b"v1" + tail))
def test_any_greeting_is_read_or_refused(payload: bytes) -> None:
    for decode in (decode_client_hello, decode_server_hello):
        with suppress(WireError):
            assert decode(payload) is not None


@pytest.mark.parametrize("time", ["20231021 13:28:15 EST", "20250415 19:38:30 British Summer Time"])
def test_the_server_answers_version_and_time(time: str) -> None:
    payload = encode_server_hello(ServerHello(176, time))
    assert payload == f"176\0{time}\0".encode()
    assert decode_server_hello(payload) == ServerHello(176, time)


@pytest.mark.parametrize(
    ("oldest", "newest", "own", "version"),
    [
        (157, 176, 178, 176),  # ib_insync 0.9.86
        (157, 178, 178, 178),  # ib_async 2.1.0
        (100, 157, 178, 157),  # ibapi 9.81.1
        (100, 225, 178, 178),  # the official client of 2026
        (157, 178, 173, 173),
        (100, 225, 9999, 178),
        (100, 158, 178, 157),  # 158 is a hole
        (157, 176, 158, 157),
        (158, 158, 178, None),
        (100, 156, 178, None),
        (179, 225, 178, None),
        (213, 225, 178, None),  # speaks the binary form only
        (174, 178, 173, None),
    ],
)
def test_the_newest_version_that_both_speak(oldest: int, newest: int, own: int, version: int | None) -> None:
    assert negotiate(oldest, newest, own) == version
