"""The strict reader of heads."""

from __future__ import annotations

import math
from random import Random

import pytest
from httptools import HttpResponseParser

from interlaced.core.failure import Failure, Reason
from interlaced.transport.http_head import (
    CHUNKED,
    UNTIL_CLOSE,
    check_begun,
    idle_limit,
    is_odd_text,
    read_head,
    read_plain,
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


@pytest.mark.parametrize(
    ("raw", "is_plain"),
    [
        (lines("Content-Length: 1", "Date: now"), True),
        (lines("Content-Length: 1", "Connection: Keep-Alive"), True),
        (lines("Content-Length: 1", "Content-Encoding: gzip"), False),
        (lines("Content-Length: 1", "Connection: upgrade"), False),
        (lines("Content-Length: 1", "Proxy-Connection: close"), False),
        (lines("Content-Length: 1", "Upgrade: h2c"), False),
        (lines("Content-Length: 1", "Server: \xe4"), False),
        (lines("Content-Length: 1", status="HTTP/1.0 200 OK"), False),
        (lines("Content-Length: 1", status="HTTP/1.1 304 No"), False),
        (lines("Transfer-Encoding: chunked"), False),
        (lines(), False),
    ],
)
def test_a_plain_head_has_nothing_that_anybody_could_read_otherwise(
    raw: bytes, is_plain: bool
) -> None:
    head = read_head(raw, is_bodiless=False)  # which makes its names known
    assert read_plain(raw) == (head[:3] if is_plain else None)
    assert not is_plain or (head.is_kept, head.coding) == (True, "")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("timeout=5, max=100", 4.0),
        ("max=100,Timeout = 60", 59.0),
        ('timeout="15"', 14.0),
        ("timeout=9, timeout=3", 2.0),
        ("timeout=2", 1.0),
        ("timeout=1", 0.5),
        ("timeout=0", 0.0),
        ("timeout=-1", math.inf),
        ("timeout=5x", math.inf),
        ("mytimeout=5", math.inf),
        ("max=3", math.inf),
        ("", math.inf),
    ],
)
def test_a_server_says_for_how_long_it_keeps_a_connection(said: str, seconds: float) -> None:
    assert idle_limit(said) == seconds


def test_names_that_are_made_up_keep_no_other_out() -> None:
    for number in range(3000):
        read_head(lines(f"X-{number}: 1"), is_bodiless=False)
    usual = lines("Content-Length: 1", "Server: s")
    read_head(usual, is_bodiless=False)
    assert read_plain(usual) is not None


def test_a_name_that_is_new_or_there_twice_is_for_the_other_reader() -> None:
    new = lines("Content-Length: 1", "X-Never-Seen-Before: 1")
    assert read_plain(new) is None
    read_head(new, is_bodiless=False)
    assert read_plain(new) is not None
    assert read_plain(lines("Content-Length: 1", "Content-Length: 1")) is None
    assert read_plain(lines("Content-Length: 1", "Date")) is None


class Reader:
    """What llhttp makes of an answer."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.is_kept = self.is_whole = False
        self.parser = HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        lower, text = name.decode().lower(), value.decode().strip(" \t")
        self.headers[lower] = f"{self.headers[lower]}, {text}" if lower in self.headers else text

    def on_headers_complete(self) -> None:
        self.is_kept = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self.is_whole = True


def test_llhttp_reads_a_plain_head_alike() -> None:
    """T9: of heads made of what is usual, what is odd and what is wrong, llhttp takes each one that
    is plain, finds the same in it, and ends at the same byte: nobody needs to ask it."""
    chance, plain = Random(35), 0
    for _ in range(20_000):
        raw = random_head(chance)
        try:
            head = read_head(raw, is_bodiless=False)
        except Failure:
            assert read_plain(raw) is None, raw
            continue
        found = read_plain(raw)
        if found is None or head.length > 10_000:
            continue
        plain += 1
        assert (found, head.is_kept, head.coding) == (head[:3], True, ""), raw
        reader = Reader()
        reader.parser.feed_data(raw + b"\r\n\r\n" + bytes(max(0, head.length - 1)))
        assert reader.is_whole is (head.length == 0), raw
        reader.parser.feed_data(bytes(min(1, head.length)))
        assert (reader.is_whole, reader.is_kept) == (True, True), raw
        assert reader.parser.get_status_code() == head.status, raw
        assert reader.headers == head.headers, raw
    assert plain > 2000


STATUS_LINES = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 999 x\ty", b"ICY 200 OK"),
    *(b"HTTP/1.1 404 Not: Found", b"HTTP/1.1  200 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 No"),
)
NAMES = (
    *(b"Content-Type", b"Date", b"x", b"Set-Cookie", b"Keep-Alive", b"Trailer", b"TE", b"Expect"),
    *(b"Content-Encoding", b"HTTP2-Settings", b"Host", b"Connection", b"Upgrade", b"Vary"),
)
LENGTHS = (b"Content-Length: %d", b"content-length:%d", b"CONTENT-LENGTH:\t000%d ")


def random_head(chance: Random) -> bytes:
    """Returns a head with a length, of which some are plain and some are wrong."""
    found = [chance.choice(STATUS_LINES[:3] if chance.random() < 0.7 else STATUS_LINES)]
    for _ in range(chance.randint(0, 5)):
        odd = bytes(chance.choices(range(33, 127), k=chance.randint(1, 4)))
        name = chance.choice(NAMES) if chance.random() < 0.7 else odd
        value = bytes(chance.choices((9, *range(32, 127)), k=chance.randint(0, 8)))
        if name == b"Connection":
            value = chance.choice((b"keep-alive", b"Keep-Alive", b"close", b"a, b"))
        found.append(name + chance.choice((b":", b": ", b":\t ")) + value)
    length = chance.choice(LENGTHS) % chance.randint(0, 12)
    found.insert(chance.randint(1, len(found)), length)
    raw = b"\r\n".join(found)
    if chance.random() < 0.2:
        place, other = chance.randrange(len(raw)), chance.choice(b"\0\t\n\r ,019:;\x7f\x80")
        raw = raw[:place] + bytes([other]) + raw[place + chance.randint(0, 1) :]
    return raw


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
