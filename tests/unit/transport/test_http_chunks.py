"""The guard of chunked bodies."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from interlaced.core.failure import Failure, Reason
from interlaced.transport.http_chunks import ChunkGuard


def end_of(*pieces: bytes, chunks: list[bytes] | None = None) -> int:
    """Returns the end in all pieces together, or -1."""
    guard = ChunkGuard([] if chunks is None else chunks)
    before = 0
    for piece in pieces:
        end = guard.feed(piece)
        if end >= 0:
            return before + end
        before += len(piece)
    return -1


@given(
    chunks=some.lists(some.binary(min_size=1, max_size=40), max_size=6),
    trailers=some.lists(some.sampled_from([b"X-A: b\r\n", b"Etag:\r\n"]), max_size=3),
    cuts=some.lists(some.integers(min_value=0, max_value=300), max_size=8),
)
def test_it_finds_the_end_wherever_the_body_is_cut(
    chunks: list[bytes], trailers: list[bytes], cuts: list[int]
) -> None:
    frames = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    body = b"".join(frames) + b"0\r\n" + b"".join(trailers) + b"\r\n"
    places = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    pieces[-1] += b"behind"
    found: list[bytes] = []
    assert end_of(*pieces, chunks=found) == len(body)
    assert b"".join(found) == b"".join(chunks)
    assert end_of(body[:-1]) == -1


@pytest.mark.parametrize(
    "body",
    [
        b"2;a=b\r\n",
        b"2 \r\n",
        b" 2\r\n",
        b"\r\n",
        b"0x2\r\n",
        b"-2\r\n",
        b"2\n",
        b"0000000000002\r\n",
        b"000000000000000000",
        b"2\r\nabc",
        b"2\r\nab\n",
        b"2\r\nab\rx",
        b"0\r\n\n",
        b"0\r\nX\r\n",
        b"0\r\nX : a\r\n",
        b"0\r\nX: a\n",
        b"0\r\nX: \x00\r\n",
        b"0\r\ncontent-length: 2\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_odd_frames_are_refused(body: bytes) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        with pytest.raises(Failure) as caught:
            end_of(*pieces)
        assert caught.value.reason is Reason.UPSTREAM_MALFORMED


@pytest.mark.parametrize("trailers", [b"X: a\r\n" * 129, b"X: " + b"a" * 9000])
def test_trailers_have_their_limits(trailers: bytes) -> None:
    with pytest.raises(Failure) as caught:
        end_of(b"0\r\n" + trailers)
    assert caught.value.reason is Reason.TOO_LARGE
