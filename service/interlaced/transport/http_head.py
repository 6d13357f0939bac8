"""The head of an answer, read strictly: what two readers could read in two ways is refused."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

from interlaced.transport.headers import is_name
from interlaced.transport.wire_errors import large_headers, malformed

__all__ = [
    "CHUNKED",
    "LARGEST_HEAD",
    "LARGEST_LINE",
    "MOST_HEADERS",
    "UNTIL_CLOSE",
    "Head",
    "check_begun",
    "idle_limit",
    "is_odd_text",
    "read_head",
    "read_plain",
]

CHUNKED: Final = -1
"""The length of a body that comes in chunks."""
UNTIL_CLOSE: Final = -2
"""The length of a body that ends with its connection."""

LARGEST_HEAD: Final = 64 * 1024
"""The largest head, in bytes."""
LARGEST_LINE: Final = 8190
MOST_HEADERS: Final = 128
_LONGEST_LENGTH: Final = 15
_REMEMBERED: Final = 64

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_TEXT: Final = bytes((9, *range(32, 127), *range(128, 256)))
"""What may stand in a line: tabs, and whatever is no control character."""
_BEGIN: Final = b"HTTP/1."
_BODILESS: Final = frozenset((204, 304))
_ODD: Final = frozenset(("content-encoding", "proxy-connection", "transfer-encoding", "upgrade"))
"""What a body's reader looks at, beside its length and whether the connection is kept."""
_PRINTABLE: Final = bytes((9, *range(32, 127)))
_LINE_ENDS: Final = tuple(b"\r\n" * max(0, count - 1) for count in range(MOST_HEADERS + 1))
"""What is between so many lines."""
_TIMEOUT = re.compile(r"(?:^|,)[ \t]*timeout[ \t]*=[ \t]*\"?([0-9]{1,9})\"?[ \t]*(?=,|$)", re.I)


class Head(NamedTuple):
    """What the head of an answer says. `length` is the body's, in bytes, or CHUNKED or
    UNTIL_CLOSE; `is_kept` says whether the connection may be used again after it; `coding` is the
    body's, which is in `headers` no more; `is_plain` says that it comes from `read_plain`."""

    status: int
    headers: dict[str, str]
    length: int
    is_kept: bool
    coding: str = ""
    is_plain: bool = False


_names: dict[str, str] = {}
_plain_names: dict[str, str] = {}
"""Those of them that a plain head may have."""
_MOST_NAMES: Final = 1024


def _lower(name: str) -> str:
    """Returns the name in lower case; UPSTREAM_MALFORMED if it is none. Names are few and come
    again with every answer, so they are looked at once."""
    if not is_name(name):
        raise malformed()
    if len(_names) >= _MOST_NAMES:
        # Whoever makes names up must not keep the usual ones out for good.
        _names.clear()
        _plain_names.clear()
    lower = _names[name] = name.lower()
    if lower not in _ODD:
        _plain_names[name] = lower
    return lower


def is_odd_text(raw: bytes | bytearray) -> bool:
    """Whether there are control characters or bare line ends in these bytes.

    What is no text must be line ends, and each of them both bytes in their order.
    """
    return len(raw.translate(None, _TEXT)) != 2 * raw.count(b"\r\n")


def check_begun(raw: bytes | bytearray, start: int) -> None:
    """Refuses at once what can never become a head, from `start` on: UPSTREAM_MALFORMED or
    TOO_LARGE. A last carriage return may still get its line feed."""
    if not raw.startswith(_BEGIN) and not _BEGIN.startswith(bytes(raw[: len(_BEGIN)])):
        raise malformed()
    since = start - 1 if start and raw[start - 1] == 13 else start
    if is_odd_text(raw[since:-1] if raw.endswith(b"\r") else raw[since:]):
        raise malformed()
    if len(raw) - raw.rfind(b"\n") > LARGEST_LINE:
        raise large_headers("8190B")
    _check_size(raw)


def _check_size(raw: bytes | bytearray) -> None:
    if len(raw) > LARGEST_HEAD:
        is_many = raw.count(b"\n") > MOST_HEADERS
        raise large_headers("128 headers" if is_many else "64KiB")


def read_head(raw: bytes, *, is_bodiless: bool) -> Head:
    """Reads a whole head without its last, empty line. `is_bodiless` is set for answers to HEAD.

    Raises UPSTREAM_MALFORMED or TOO_LARGE.
    """
    if is_odd_text(raw):
        raise malformed()
    # As aiohttp reads it: UTF-8 where it is that, and nothing lost where it is not.
    lines = raw.decode("utf-8", "surrogateescape").split("\r\n")
    if len(raw) > LARGEST_LINE:
        _check_size(raw)
        if max(map(len, lines[1:]), default=0) > LARGEST_LINE:
            raise large_headers("8190B")
    if len(lines) > 1 + MOST_HEADERS:
        raise large_headers("128 headers")
    status, is_http_1_1 = _status(lines.pop(0))
    headers = _headers(lines)
    length = _length(headers, is_http_1_1=is_http_1_1)
    coding = headers.pop("content-encoding", "")
    if is_bodiless or status < 200 or status in _BODILESS:
        if status < 200 and length != UNTIL_CLOSE:
            raise malformed()  # an interim answer has no body, so whose would that one be?
        length = 0
    is_kept = is_http_1_1 and length != UNTIL_CLOSE
    if is_kept and "connection" in headers:
        tokens = headers["connection"].lower().split(",")
        is_kept = "close" not in [token.strip(" \t") for token in tokens]
    return Head(status, headers, length, is_kept, coding)


def read_plain(raw: bytes) -> tuple[int, dict[str, str], int] | None:
    """Reads status, headers and length of a whole head, as `read_head` does, if no reader could
    read it in another way; returns None for any other, right or wrong, and where a name is new.

    A plain head is that of an answer with a body, on a connection that is kept: printable ASCII,
    each name once, one length, and nothing else that has to do with frame or coding.
    """
    if len(raw) > LARGEST_LINE or not raw.isascii():
        return None
    lines = raw.decode("ascii").split("\r\n")
    if len(lines) > MOST_HEADERS or raw.translate(None, _PRINTABLE) != _LINE_ENDS[len(lines)]:
        return None
    status = _plain_status(lines[0])
    headers: dict[str, str] = {}
    find = _plain_names.get
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(":")
        lower = find(name)
        if lower is None or not colon:
            return None
        headers[lower] = value.strip()  # of blanks and tabs: no other such thing is left
    length = headers.get("content-length", "")
    is_kept = "connection" not in headers or headers["connection"].lower() == "keep-alive"
    has_length = length.isdigit() and len(length) <= _LONGEST_LENGTH
    if not (status and is_kept and has_length and len(headers) == len(lines)):
        return None
    return status, headers, int(length)


@lru_cache(4 * _REMEMBERED)  # Apache counts `max` down from 100
def idle_limit(keep_alive: str) -> float:
    """Returns for how many seconds a connection may be idle, by the server's own `Keep-Alive`
    header (`timeout=5, max=100`): one less than it says, for both ways and its timer, or half of
    what is no more than two. Infinite where it says nothing that can be read."""
    said = [int(seconds) for seconds in _TIMEOUT.findall(keep_alive)]
    return max(min(said) - 1.0, min(said) / 2) if said else math.inf


@lru_cache(_REMEMBERED)
def _plain_status(line: str) -> int:
    """Returns the status of a line that may begin a plain head, 0 for any other."""
    match = _STATUS.fullmatch(line)
    status = int(match[2]) if match is not None and match[1] == "1" else 0
    return status if status >= 200 and status not in _BODILESS else 0


@lru_cache(_REMEMBERED)
def _status(line: str) -> tuple[int, bool]:
    """Reads a status line: the status, and whether this is HTTP/1.1."""
    match = _STATUS.fullmatch(line)
    if match is None:
        raise malformed()
    return int(match[2]), match[1] == "1"


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        lower = _names.get(name) or _lower(name)
        if not colon:
            raise malformed()
        value = value.strip(" \t")
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def _length(headers: dict[str, str], *, is_http_1_1: bool) -> int:
    """Returns how long the body is, where there is one."""
    declared = headers.get("content-length")
    if "transfer-encoding" in headers:
        is_chunked = headers["transfer-encoding"].lower() == "chunked"
        if not is_chunked or declared is not None or not is_http_1_1:
            raise malformed()
        return CHUNKED
    if declared is None:
        return UNTIL_CLOSE
    # Two lengths are joined by a comma, so that they are no number, even where they are equal.
    if not (declared.isascii() and declared.isdigit() and len(declared) <= _LONGEST_LENGTH):
        raise malformed()
    return int(declared)
