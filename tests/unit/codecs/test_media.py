"""Media types and transcoding."""

from __future__ import annotations

from collections.abc import Iterator

import msgpack as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.codecs import json, msgpack
from interlaced.codecs.codec import CodecError, UnfitError
from interlaced.codecs.media import (
    JSON,
    MSGPACK,
    accepts,
    bare,
    charset,
    codec_for,
    is_range,
    is_type,
    preferred,
    transcode,
)


def test_parameters_are_apart_from_the_type() -> None:
    assert bare("Application/JSON; charset=utf-8") == JSON
    assert charset('text/html; x=1; charset="ISO-8859-1"') == "iso-8859-1"
    assert charset(JSON) == ""


@pytest.mark.parametrize(
    ("media_type", "codec"),
    [
        (JSON, json),
        ("application/problem+json; a=b", json),
        (MSGPACK, msgpack),
        ("application/x-msgpack", msgpack),
        ("application/vnd.msgpack", msgpack),
        ("text/html", None),
        ("", None),
    ],
)
def test_a_codec_is_found_by_any_name_of_its_type(media_type: str, codec: object) -> None:
    assert codec_for(media_type) is codec


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        ((), "text/csv", "text/csv"),
        (("*/*",), "text/csv", "text/csv"),
        (("text/*",), "text/csv", "text/csv"),
        ((JSON,), "application/json; charset=utf-8", "application/json; charset=utf-8"),
        ((JSON,), "application/hal+json", "application/hal+json"),
        (("application/hal+json",), JSON, "application/hal+json"),
        ((MSGPACK,), JSON, MSGPACK),
        (("text/csv", MSGPACK, JSON), JSON, JSON),
        (("text/csv", "application/x-msgpack"), JSON, "application/x-msgpack"),
        (("text/csv",), JSON, None),
        (("application/json; q=0.1", "application/msgpack; q=1"), JSON, JSON),
        (("",), JSON, None),
        ((JSON,), "text/html", None),
        ((JSON,), MSGPACK, JSON),
    ],
)
def test_the_upstreams_own_type_comes_first(
    accept: tuple[str, ...], media_type: str, expected: str | None
) -> None:
    assert preferred(accept, media_type) == expected
    assert accepts(accept, media_type) is (expected == media_type)


def test_json_and_msgpack_become_each_other_without_loss() -> None:
    value = {"id": 2**64 - 1, "price": 1.1, "none": None, "list": [True, "caf\xe9"]}
    packed = transcode(json.encode(value), JSON, MSGPACK)
    assert library.unpackb(packed) == value
    assert transcode(packed, MSGPACK, JSON) == json.encode(value)


_EDGES = st.sampled_from([0, 2**31, 2**53, 2**63, 2**64])
_NUMBERS = st.builds(lambda edge, off, sign: sign * (edge + off), _EDGES, st.integers(-3, 3),
                     st.sampled_from([1, -1]))  # fmt: skip
_TREES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(st.characters(codec="utf-8"))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=12,
)  # fmt: skip


@given(_TREES)
def test_what_becomes_msgpack_comes_back_the_same_or_is_refused(value: object) -> None:
    """P12: integers around 2^53, 2^63 and 2^64, nulls, empty things; never a rounding."""
    data = json.encode(value)
    try:
        packed = transcode(data, JSON, MSGPACK)
    except CodecError:
        assert any(not -(2**63) <= number < 2**64 for number in _integers(value))
        return
    assert transcode(packed, MSGPACK, JSON) == data


def _integers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _integers(member)


@pytest.mark.parametrize(
    "packed", [b"\xd6\xff\0\0\0\1", b"\xc4\x01a", b"\xd4\x05x", library.packb(float("nan"))]
)
def test_what_only_msgpack_has_does_not_become_json(packed: bytes) -> None:
    """P12: a timestamp, bytes, an extension, NaN."""
    with pytest.raises(CodecError):
        transcode(packed, MSGPACK, JSON)


def test_within_one_format_nothing_is_read() -> None:
    assert transcode(b"not read", JSON, "application/hal+json") == b"not read"


@pytest.mark.parametrize("text", [b'{"id": 18446744073709551616}', b"[1e400]", b"{"])
def test_what_would_lose_something_is_an_error(text: bytes) -> None:
    with pytest.raises(CodecError):
        transcode(text, JSON, MSGPACK)
    with pytest.raises(CodecError):
        transcode(library.packb({"a": b"bytes"}), MSGPACK, JSON)


@pytest.mark.parametrize(
    ("data", "source", "target", "is_unfit"),
    [
        (b"[18446744073709551616]", JSON, MSGPACK, True),
        (b"[-9223372036854775809]", JSON, MSGPACK, True),
        (library.packb([b"bytes"]), MSGPACK, JSON, True),
        (library.packb(float("inf")), MSGPACK, JSON, True),
        (b"\xd6\xff\0\0\0\1", MSGPACK, JSON, True),
        (b'{"a":1,"a":1}', JSON, MSGPACK, False),
        (b"[1e400]", JSON, MSGPACK, False),
        (b"NaN", JSON, MSGPACK, False),
        (library.packb({1: 2}), MSGPACK, JSON, False),
        (b"\x82\xa1a\x01\xa1a\x01", MSGPACK, JSON, False),
    ],
)
def test_bytes_not_in_their_type_are_told_from_a_value_that_does_not_fit(
    data: bytes, source: str, target: str, is_unfit: bool
) -> None:
    """The one is the upstream's fault, the other nobody's."""
    with pytest.raises(CodecError) as caught:
        transcode(data, source, target)
    assert isinstance(caught.value, UnfitError) is is_unfit


@pytest.mark.parametrize(
    "text",
    [b'{"a": [1.10, "\\u00e9"]}', b'{"a":"\\u003a"}', b"[" * 9 + b"1" + b"]" * 9, b"[-0,-0.0,1e2]"],
)
def test_what_is_unusual_becomes_the_same_msgpack(text: bytes) -> None:
    packed = transcode(text, JSON, MSGPACK)
    assert packed == msgpack.encode(json.decode_carefully(text))
    assert transcode(packed, MSGPACK, JSON) == json.encode(json.decode_carefully(text))


def test_singles_and_long_forms_become_json() -> None:
    assert transcode(b"\xca\x3f\xc0\0\0", MSGPACK, JSON) == b"1.5"
    assert transcode(b"\x91\xcd\0\1", MSGPACK, "text/x+json") == b"[1]"


def test_without_a_codec_there_is_no_transcoding() -> None:
    with pytest.raises(ValueError, match="no codec"):
        transcode(b"", "text/html", JSON)


def test_a_type_is_told_from_a_pattern_and_from_junk() -> None:
    for text in (JSON, "application/x-protobuf; message=a.B", "Image/PNG", "a/b+c"):
        assert is_type(text)
        assert not is_range(text)
    for text in ("*/*", "image/*", "image/*; q=1"):
        assert is_range(text)
        assert not is_type(text)
    for text in ("", "json", "a/b/c", "/a", "a/", "a b/c", "caf\xe9/x"):
        assert not is_type(text)
