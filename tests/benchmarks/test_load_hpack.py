"""Heads are packed as RFC 7541 says, and unpacked with the table that both ends keep."""

from __future__ import annotations

import pytest
from benchmarks.load.hpack import STATIC, Decoder, Encoder


def test_the_static_table_is_that_of_the_standard() -> None:
    assert len(STATIC) == 61
    assert STATIC[1] == (b":method", b"GET")
    assert STATIC[7] == (b":status", b"200")
    assert STATIC[15] == (b"accept-encoding", b"gzip, deflate")
    assert STATIC[60] == (b"www-authenticate", b"")


def test_what_is_packed_unpacks_and_later_heads_are_indices() -> None:
    encoder, decoder = Encoder(), Decoder()
    heads = [encoder.head(path, b"h:1", b"http") for path in (b"/a", b"/a", b"/b", b"/a", b"/b")]
    for head, path in zip(heads, (b"/a", b"/a", b"/b", b"/a", b"/b"), strict=True):
        fields = dict(decoder.decode(head))
        assert fields[b":path"] == path
        assert fields[b":method"] == b"POST"
        assert fields[b"te"] == b"trailers"
    assert len(heads[1]) == 7
    assert len(heads[0]) > 50


def test_examples_of_the_standard_unpack() -> None:
    # RFC 7541, C.3: three requests on one connection, without Huffman code.
    decoder = Decoder()
    first = bytes.fromhex("828684410f7777772e6578616d706c652e636f6d")
    second = bytes.fromhex("828684be58086e6f2d6361636865")
    assert dict(decoder.decode(first))[b":authority"] == b"www.example.com"
    fields = dict(decoder.decode(second))
    assert fields[b":authority"] == b"www.example.com"
    assert fields[b"cache-control"] == b"no-cache"


def test_a_full_table_forgets_the_oldest() -> None:
    decoder = Decoder()
    decoder.decode(b"\x20")  # a table of no size
    decoder.decode(b"\x40\x01a\x01b")
    with pytest.raises(ValueError, match="beyond the table"):
        decoder.decode(b"\xbe")


def test_a_remembered_block_means_something_else_once_the_table_moved() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x011")
    assert decoder.decode(b"\xbe") == [(b"a", b"1")]
    decoder.decode(b"\x40\x01a\x012")
    assert decoder.decode(b"\xbe") == [(b"a", b"2")]
    assert decoder.decode(b"\xbf") == [(b"a", b"1")]
