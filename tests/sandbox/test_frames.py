"""The wire's reader: frames however they are cut, refusal of the rest, and never more memory than was sent."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.sandbox.codec import MAX_FRAME
from rlm_module.sandbox.frames import Frame, FrameReader, Kind, ProtocolError, header

_LIMIT = 300
_frames = st.builds(
    Frame,
    st.sampled_from([Kind.READY, Kind.DONE, Kind.CALL]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=_LIMIT),
)


def _bytes(frame: Frame) -> bytes:
    return header(frame.kind, frame.id, len(frame.body)) + frame.body


def _cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


def _outcome(chunks: Iterator[bytes]) -> tuple[list[Frame], str | None]:
    reader, found = FrameReader(_LIMIT), list[Frame]()
    try:
        for chunk in chunks:
            found += reader.feed(chunk)
    except ProtocolError as error:
        return found, str(error)
    return found, None


@given(st.lists(_frames), st.lists(st.integers(0, 40)))
def test_frames_arrive_however_they_are_cut(frames: list[Frame], sizes: list[int]) -> None:
    assert _outcome(_cut(b"".join(map(_bytes, frames)), sizes)) == (frames, None)


@given(st.lists(_frames, max_size=3), st.binary(), st.lists(st.integers(0, 40)))
def test_pitfall_37_arbitrary_bytes_are_frames_or_refused(frames: list[Frame], noise: bytes, sizes: list[int]) -> None:
    """However they are cut; and what came whole before the noise is not lost to it."""
    data = b"".join(map(_bytes, frames)) + noise
    found, fault = _outcome(_cut(data, sizes))
    at_once, fault_at_once = _outcome(iter([data]))
    assert fault == fault_at_once
    assert fault is not None or found == at_once
    one_by_one, _ = _outcome(data[i : i + 1] for i in range(len(data)))
    assert one_by_one[: len(frames)] == frames


@pytest.mark.parametrize("kind", [0, *(kind for kind in Kind if kind < 16), 22, 255])
def test_pitfall_37_a_kind_that_only_the_host_sends_is_refused(kind: int) -> None:
    with pytest.raises(ProtocolError, match="unknown kind"):
        FrameReader().feed(struct.pack("<BIQ", kind, 1, 0))


@pytest.mark.parametrize("length", [MAX_FRAME + 1025, 2**32, 2**63, 2**64 - 1])
def test_pitfall_37_an_absurd_length_is_refused_before_its_body(length: int) -> None:
    with pytest.raises(ProtocolError, match="frame of"):
        FrameReader().feed(struct.pack("<BIQ", Kind.DONE, 1, length))


def test_the_longest_value_still_arrives() -> None:
    body = bytes(MAX_FRAME)
    frames = FrameReader().feed(header(Kind.DONE, 1, len(body)) + body)
    assert [len(frame.body) for frame in frames] == [MAX_FRAME]


def test_a_reader_holds_no_more_than_one_unfinished_body() -> None:
    reader = FrameReader()
    call = _bytes(Frame(Kind.CALL, 7, b"x" * 50))
    batch = call * 1000
    tracemalloc.start()
    try:
        for _ in range(200):
            assert len(reader.feed(batch)) == 1000
        reader.feed(header(Kind.DONE, 1, MAX_FRAME) + b"y" * 1000)  # half a frame, then silence
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(batch), "12 MB went through; what was done is not kept, and what is announced not yet taken"
