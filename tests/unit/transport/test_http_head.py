"""The strict reader of heads."""

from __future__ import annotations

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.transport.http_head import (
    CHUNKED,
    UNTIL_CLOSE,
    check_begun,
    is_odd_text,
    read_head,
)


def lines(*texts: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join((status, *texts)).encode("latin-1")


def test_a_head_is_read_with_its_names_in_lower_case() -> None:
    head = read_head(lines("X-A:  b ", "x-a:c", "Content-Length: 12"), is_bodiless=False)
    assert (head.status, head.length, head.is_kept) == (200, 12, True)
    assert head.headers == {"x-a": "b, c", "content-length": "12"}


def test_values_are_utf_8_where_they_are_and_nothing_is_lost_where_not() -> None:
    raw = lines("X-A: ") + b"\xc3\xa4\xff"
    value = read_head(raw, is_bodiless=False).headers["x-a"]
    assert value.encode("utf-8", "surrogateescape") == b"\xc3\xa4\xff"


@pytest.mark.parametrize(
    ("raw", "length", "is_kept"),
    [
        (lines("Transfer-Encoding: Chunked"), CHUNKED, True),
        (lines(), UNTIL_CLOSE, False),
        (lines("Content-Length: 0", "Connection: close"), 0, False),
        (lines("Content-Length: 0", "Connection: upgrade"), 0, True),
        (lines("Content-Length: 0", status="HTTP/1.0 200 OK"), 0, False),
        (lines(status="HTTP/1.1 204"), 0, True),
        (lines("Content-Length: 9", status="HTTP/1.1 304 "), 0, True),
        (lines(status="HTTP/1.1 103 Early Hints"), 0, True),
    ],
)
def test_how_long_the_body_is_and_whether_another_may_follow(
    raw: bytes, length: int, is_kept: bool
) -> None:
    head = read_head(raw, is_bodiless=False)
    assert (head.length, head.is_kept) == (length, is_kept)


def test_an_answer_to_head_has_no_body() -> None:
    head = read_head(lines("Content-Length: 99"), is_bodiless=True)
    assert (head.length, head.headers["content-length"]) == (0, "99")


@pytest.mark.parametrize(
    "raw",
    [
        lines("Content-Length: 1", "Content-Length: 1"),
        lines("Content-Length: 1, 1"),
        lines("Content-Length: "),
        lines("Content-Length: 1234567890123456"),
        lines("Content-Length: \xb2"),
        lines("Content-Length: 1", "Transfer-Encoding: chunked"),
        lines("Transfer-Encoding: gzip, chunked"),
        lines("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        lines("Transfer-Encoding: chunked", status="HTTP/1.0 200 OK"),
        lines("Content-Length: 1", status="HTTP/1.1 100 Continue"),
        lines("X : a"),
        lines(" X: a"),
        lines(": a"),
        lines("X"),
        lines("X\xe4: a"),
        lines(""),
        lines(status="HTTP/1.1 099 OK"),
        lines(status="HTTP/1.1 20 OK"),
        lines(status="HTTP/1.1 2000 OK"),
        lines(status="HTTP/1.2 200 OK"),
        lines(status="HTTP/0.9 200 OK"),
        lines(status="HTTP/1.1  200 OK"),
        lines(status="http/1.1 200 OK"),
        lines("X: a\x00"),
        lines("X: a\nY: b"),
        lines("X: a\rY: b"),
        lines("X: a\n\rY: b"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read_head(raw, is_bodiless=False)
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED


@pytest.mark.parametrize(
    ("raw", "limit"),
    [
        (lines(*(["X: a"] * 129)), "128 headers"),
        (lines("X: " + "a" * 8190), "8190B"),
        (lines(*(["X: " + "a" * 8000] * 9)), "64KiB"),
    ],
)
def test_heads_have_their_limits(raw: bytes, limit: str) -> None:
    for read in (lambda: read_head(raw, is_bodiless=False), lambda: check_begun(raw, 0)):
        if read.__code__.co_names[0] == "check_begun" and limit == "128 headers":
            continue  # so few bytes may still end
        with pytest.raises(Failure) as caught:
            read()
        assert (caught.value.reason, caught.value.context["limit"]) == (Reason.TOO_LARGE, limit)


@pytest.mark.parametrize("raw", [b"S", b"SSH-2.0", b"\r\nHTTP/1.1", b"HTTP/2", b"HTTP/1.1 2\n"])
def test_what_can_never_become_a_head_is_refused_at_once(raw: bytes) -> None:
    with pytest.raises(Failure) as caught:
        check_begun(raw, 0)
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED


def test_a_head_may_be_cut_within_a_line_end_and_only_there() -> None:
    whole = lines("X: a", "Y: b")
    for at in range(1, len(whole)):
        check_begun(whole[:at], 0)
        check_begun(whole, at)
    with pytest.raises(Failure):
        check_begun(b"HTTP/1.1 200 OK\rX", 16)


def test_line_ends_are_both_bytes_in_their_order() -> None:
    assert not is_odd_text(b"a\r\n\r\nb\t\xff")
    for odd in (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\x00", b"\x7f", b"\x1f\x1f\r\n"):
        assert is_odd_text(b"a" + odd + b"b")
