"""MessagePack."""

from __future__ import annotations

import msgpack as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.codecs import msgpack
from interlaced.codecs.codec import CodecError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_every_value_comes_back(value: object) -> None:
    assert msgpack.decode(msgpack.encode(value)) == value


BAD = [
    b"", b"\xc1", b"\x92\x01", b"\x01\x01", library.packb({1: 2}), b"\x82\xa1a\x01\xa1a\x02",
    library.packb(library.ExtType(5, b"x")), b"\xa1\xff", b"\xdd\xff\xff\xff\xff", b"\x91" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:20]))
def test_what_is_not_plain_msgpack_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        msgpack.decode(data)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, object(), {"a": {1, 2}}, (1, 2)])
def test_what_msgpack_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises(CodecError):
        msgpack.encode(value)
