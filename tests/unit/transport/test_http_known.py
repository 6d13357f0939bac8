"""What is remembered of heads: whole and plain ones, few and short ones, and for good."""

from __future__ import annotations

import pytest

from interlaced.transport.http_head import CHUNKED, UNTIL_CLOSE, Head
from interlaced.transport.http_known import LARGEST_KNOWN, MOST_KNOWN, SELDOM, KnownHeads

RAW = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\n"


def plain(length: int = 2, status: int = 200, coding: str = "", *, is_kept: bool = True) -> Head:
    return Head(status, {"x-a": "b"}, length, is_kept, coding)


def test_a_plain_head_is_known_byte_by_byte() -> None:
    known = KnownHeads()
    known.add(RAW, plain())
    assert known.find(RAW) == (2, 200, {"x-a": "b"})
    assert known.find(RAW.lower()) is None
    assert known.find(RAW[:-1]) is None


@pytest.mark.parametrize(
    "head",
    [
        plain(CHUNKED),
        plain(UNTIL_CLOSE),
        plain(is_kept=False),
        plain(coding="gzip"),
        plain(0, 103),
    ],
)
def test_what_is_not_plain_is_not_remembered(head: Head) -> None:
    """A body that has to be looked at, a connection that ends, an answer that is none."""
    known = KnownHeads()
    known.add(RAW, head)
    assert len(known) == 0


def test_few_and_short_heads_are_remembered() -> None:
    known = KnownHeads()
    known.add(b"a" * (LARGEST_KNOWN + 1), plain())
    assert len(known) == 0
    for number in range(10 * MOST_KNOWN):
        known.add(b"%d" % number, plain())
        assert len(known) <= MOST_KNOWN


def test_a_head_that_comes_again_gets_in_though_all_others_are_new() -> None:
    known = KnownHeads()
    for number in range(MOST_KNOWN + 1):
        known.add(b"%d" % number, plain())
    assert len(known) == 1
    for _ in range(SELDOM - 1):
        known.add(RAW, plain())
        assert known.find(RAW) is None
    known.add(RAW, plain())
    assert known.find(RAW) is not None


def test_nobody_changes_what_is_remembered() -> None:
    known, head = KnownHeads(), plain()
    known.add(RAW, head)
    head.headers["x-a"] = "evil"
    found = known.find(RAW)
    assert found is not None
    assert found[2] == {"x-a": "b"}
    with pytest.raises(TypeError):
        found[2]["x-a"] = "evil"  # type: ignore[index]  # that it cannot is what is shown
