"""Media types and transcoding."""

from __future__ import annotations

import msgpack as library
import pytest

from interlaced.codecs import json, msgpack
from interlaced.codecs.codec import CodecError
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


def test_within_one_format_nothing_is_read() -> None:
    assert transcode(b"not read", JSON, "application/hal+json") == b"not read"


@pytest.mark.parametrize("text", [b'{"id": 18446744073709551616}', b"[1e400]", b"{"])
def test_what_would_lose_something_is_an_error(text: bytes) -> None:
    with pytest.raises(CodecError):
        transcode(text, JSON, MSGPACK)
    with pytest.raises(CodecError):
        transcode(library.packb({"a": b"bytes"}), MSGPACK, JSON)


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
