"""What a faulty upstream answers, byte by byte, for the tables of the fault columns."""

from __future__ import annotations

import zlib

from fault_rig import GOOD, Bench
from raw_http import Answer, chunked, ok

from interlaced.testing.fault_proxy import Faults

__all__ = [
    "BAD_CHUNK",
    "BOMB",
    "BYTE_ORDER_MARK",
    "CUT_REQUEST",
    "EMPTY",
    "ENDLESS_HEAD",
    "GIBIBYTE",
    "LATIN",
    "LOGIN_PAGE",
    "MANY_CHUNKS",
    "RESET",
    "SHORT",
    "SLOW",
    "busy",
    "half_open",
    "status",
]

SLOW = Answer(GOOD.data, before=0.8)
RESET = Answer(then="reset")
SHORT = Answer(GOOD.data[:-4], then="close")
BAD_CHUNK = chunked(b'{"data"', end=b"zz\r\n", then="close")
LOGIN_PAGE = ok(b"<html>canary</html>", "Content-Type: text/html")
EMPTY = ok(b"")
BYTE_ORDER_MARK = ok(b'\xef\xbb\xbf{"data":1}')
LATIN = ok('{"data":"ä"}'.encode("latin-1"))
MANY_CHUNKS = chunked(*[b" " * 16384] * 8)
BOMB = ok(zlib.compress(b" " * 8_000_000, 9), "Content-Encoding: deflate")
ENDLESS_HEAD = Answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000, then="hang")
CUT_REQUEST = Faults(reset_request_after=10)
"""The connection is reset while the request is being sent."""
GIBIBYTE = Answer(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n{",
    then="hang",
)


def status(line: str, retry_after: str = "") -> Answer:
    """An answer with this status line."""
    return ok(b"{}", *([f"Retry-After: {retry_after}"] if retry_after else []), status=line)


def busy(retry_after: str = "") -> Answer:
    """A 429."""
    return status("429 Too Many Requests", retry_after)


def half_open(it: Bench) -> None:
    """Every pooled connection is dead without a word; new ones are well."""
    it.proxy.script(Faults(blackhole=True))
    it.proxy.script_next(*[Faults()] * 5)
