"""T5, F14: content codings and their bombs."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.failure import Failure, Reason
from interlaced.transport.decoding import body_for

MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


CODERS = {"": bytes, "identity": bytes, "gzip": gzip.compress, "x-gzip": gzip.compress}
CODERS |= {"deflate": zlib.compress, "Deflate": raw_deflate}


def decode(coding: str, wire: bytes, limit: int = 16 * MIB, step: int = 7) -> bytes:
    body = body_for(coding, limit)
    for start in range(0, len(wire), step):
        body.feed(wire[start : start + step])
    return body.finish()


@pytest.mark.parametrize("coding", CODERS)
@given(data=st.binary(max_size=2000), step=st.integers(1, 500))
def test_what_was_coded_comes_back_however_it_is_cut(coding: str, data: bytes, step: int) -> None:
    assert decode(coding, CODERS[coding](data), step=step) == data


@pytest.mark.parametrize("coding", CODERS)
@given(data=st.binary(max_size=2000), step=st.integers(1, 500))
def test_what_is_taken_meanwhile_is_the_same_body(coding: str, data: bytes, step: int) -> None:
    wire, taken = CODERS[coding](data), []
    body = body_for(coding, MIB)
    for start in range(0, len(wire), step):
        body.feed(wire[start : start + step])
        taken.append(body.take())
    assert b"".join([*taken, body.finish()]) == data


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_the_limit_counts_what_was_taken(coding: str) -> None:
    body = body_for(coding, MIB)
    wire = CODERS[coding](Random(1).randbytes(MIB + 1))
    with pytest.raises(Failure) as caught:
        for start in range(0, len(wire), 1000):
            body.feed(wire[start : start + 1000])
            body.take()
    assert caught.value.reason is Reason.TOO_LARGE


def test_the_ratio_counts_what_was_taken() -> None:
    body = body_for("gzip", 64 * MIB)
    wire = gzip.compress(bytes(8 * MIB))
    with pytest.raises(Failure) as caught:
        for start in range(0, len(wire), 100):
            body.feed(wire[start : start + 100])
            body.take()
    assert caught.value.reason is Reason.TOO_LARGE


def test_a_large_body_comes_back() -> None:
    data = bytes(range(256)) * 4096
    assert decode("gzip", gzip.compress(data), step=65536) == data


def test_several_members_of_gzip_are_one_body() -> None:
    assert decode("gzip", gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, deflate", "?"])
def test_a_coding_that_was_not_asked_for_is_malformed(coding: str) -> None:
    with pytest.raises(Failure) as caught:
        body_for(coding, MIB)
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_one_byte_over_the_limit_is_too_large(coding: str) -> None:
    code = CODERS[coding]
    assert len(decode(coding, code(b"x" * 1000), 1000)) == 1000
    with pytest.raises(Failure) as caught:
        decode(coding, code(b"x" * 1001), 1000)
    assert caught.value.reason is Reason.TOO_LARGE
    assert caught.value.context["limit"] == "1000B"


def test_a_bomb_stops_by_its_ratio_and_in_little_memory() -> None:
    """10 MB that would become 10 GB: the memory stays below 32 MiB over the start."""
    piece = b"\x00" * MIB
    coder = zlib.compressobj(9, wbits=31)
    bomb = b"".join(coder.compress(piece) for _ in range(64)) + coder.flush()
    tracemalloc.start()
    with pytest.raises(Failure) as caught:
        decode("gzip", bomb, step=65536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.reason is Reason.TOO_LARGE
    assert peak < 32 * MIB


def test_below_the_first_mib_no_ratio_counts() -> None:
    data = b"\x00" * (MIB - 1)
    assert decode("gzip", gzip.compress(data)) == data


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate"])
def test_a_coding_that_is_cut_is_truncated(coding: str) -> None:
    wire = CODERS[coding](b"hello hello hello")
    for end in range(1, len(wire) - 9):
        with pytest.raises(Failure) as caught:
            decode(coding, wire[:end])
        assert caught.value.reason is Reason.UPSTREAM_TRUNCATED


def test_bytes_in_no_coding_are_malformed() -> None:
    for coding, wire in (
        ("gzip", b"hello world"),
        ("deflate", b"\x78\x00hello"),
        ("gzip", gzip.compress(b"a") + b"zz zz zz"),
    ):
        with pytest.raises(Failure) as caught:
            decode(coding, wire)
        assert caught.value.reason is Reason.UPSTREAM_MALFORMED


def test_no_bytes_are_no_body() -> None:
    assert body_for("gzip", MIB).finish() == b""


def test_a_stream_that_never_decodes_to_anything_ends_by_its_size() -> None:
    """T5, T28: empty members and empty blocks could go on for as long as anyone sends them."""
    head, block = gzip.compress(b"")[:10], b"\0\0\0\xff\xff"
    for first, flood in ((b"", gzip.compress(b"") * 100), (head, block * 400)):
        body = body_for("gzip", 1000)
        body.feed(first)
        with pytest.raises(Failure) as caught:
            for _ in range(1000):
                body.feed(flood)
        assert caught.value.reason is Reason.TOO_LARGE


def test_a_body_that_cannot_be_compressed_may_be_as_long_as_its_limit() -> None:
    data = Random(7).randbytes(MIB)
    for code in ("gzip", "deflate"):
        wire = CODERS[code](data)
        assert len(wire) > MIB
        assert decode(code, wire, MIB, step=65536) == data
