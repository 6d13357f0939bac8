"""The frame of a chunked body, walked strictly: sizes, line ends and trailers."""

from __future__ import annotations

import re
from typing import Final

from interlaced.transport.headers import is_name
from interlaced.transport.http_head import LARGEST_LINE, MOST_HEADERS, is_odd_text
from interlaced.transport.wire_errors import large_headers, malformed

__all__ = ["ChunkGuard"]

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})\r\n")
_LONGEST_SIZE: Final = 14
_FRAMING: Final = frozenset(("content-length", "transfer-encoding", "host", "trailer"))


class ChunkGuard:
    """Follows a chunked body piece by piece, takes its chunks out and finds its end.

    llhttp lets extensions pass, which no honest server of ours sends and which other readers cut
    off elsewhere, and any number of trailers; so the guard goes first. UPSTREAM_MALFORMED or
    TOO_LARGE is raised by `feed`.
    """

    __slots__ = ("_held", "_left", "_pieces", "_trailers")

    def __init__(self, pieces: list[bytes]) -> None:
        """`pieces` is where the bytes of the chunks go."""
        self._pieces = pieces
        self._left = 0  # bytes of the chunk that are still to come, its line end among them
        self._held = b""  # the beginning of a line
        self._trailers = -1  # how many trailers so far, once the last chunk is there

    def feed(self, data: bytes, start: int = 0) -> int:
        """Takes what came, from `start` on. Returns where the body ends in it, or -1."""
        place, size = start, len(data)
        while place < size:
            if self._left > 0:
                place = self._skip(data, place)
                continue
            at = data.find(b"\n", place)
            line = self._held + data[place : at + 1 if at >= 0 else size]
            if at < 0:
                self._hold(line)
                return -1
            self._held = b""
            place = at + 1
            if self._trailers >= 0:
                if self._is_last(line):
                    return place
            else:
                self._open(line)
        return -1

    def _skip(self, data: bytes, place: int) -> int:
        """Passes over the bytes of a chunk, and looks at the two behind them."""
        left, here = self._left, len(data) - place
        if left > 2:
            taken = min(left - 2, here)
            self._pieces.append(data[place : place + taken])
            self._left = left - taken
            return place + taken
        if data[place] != (13 if left == 2 else 10):
            raise malformed()
        self._left = left - 1
        return place + 1

    def _hold(self, line: bytes) -> None:
        is_trailer = self._trailers >= 0
        if len(line) > (LARGEST_LINE if is_trailer else _LONGEST_SIZE):
            raise large_headers("8190B") if is_trailer else malformed()
        self._held = line

    def _open(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise malformed()
        count = int(match[1], 16)
        if count:
            self._left = count + 2
        else:
            self._trailers = 0

    def _is_last(self, line: bytes) -> bool:
        """Looks at one line behind the last chunk: a trailer, which is dropped, or the end."""
        if line == b"\r\n":
            return True
        self._trailers += 1
        if self._trailers > MOST_HEADERS:
            raise large_headers("128 headers")
        if len(line) > LARGEST_LINE:
            raise large_headers("8190B")
        name, colon, _ = line.partition(b":")
        text = name.decode("latin-1")
        is_odd = not colon or not is_name(text) or text.lower() in _FRAMING
        if is_odd or is_odd_text(line) or not line.endswith(b"\r\n"):
            raise malformed()
        return False
