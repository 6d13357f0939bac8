"""Content codings, decoded piece by piece, so that a bomb stops at its limit."""

from __future__ import annotations

import zlib
from typing import Protocol

from interlaced.core.failure import Failure, Reason
from interlaced.core.units import format_size

__all__ = ["ACCEPT_ENCODING", "Body", "body_for", "too_large"]

ACCEPT_ENCODING = "gzip, deflate"
"""What `body_for` can decode."""

_STEP = 64 * 1024
_SLICE = 16 * 1024  # zlib copies what it leaves over, so that large pieces would cost their square
_RATIO = 100
_RATIO_FROM = 1024 * 1024


class Body(Protocol):
    """Collects the pieces of one body."""

    def feed(self, piece: bytes) -> None:
        """Takes the next piece; TOO_LARGE at the limit, UPSTREAM_MALFORMED if it is not in the
        coding that was declared."""
        ...

    def take(self) -> bytes:
        """Returns what is decoded of the body so far, and forgets it."""
        ...

    def finish(self) -> bytes:
        """Returns the decoded body, or what nobody took of it; UPSTREAM_TRUNCATED if the coding is
        not at its end."""
        ...


class _Plain:
    """A body without a coding."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        self._pieces.append(piece)

    def take(self) -> bytes:
        body = self.finish()
        self._pieces.clear()
        return body

    def finish(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class _Zipped:
    """A gzip or deflate body. `deflate` is zlib by the standard and raw by habit of some servers;
    the first byte tells which."""

    def __init__(self, limit: int, *, is_gzip: bool) -> None:
        self._limit = limit
        self._is_gzip = is_gzip
        self._decoder = zlib.decompressobj(wbits=31) if is_gzip else None
        self._received = 0
        self._taken = 0
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        self._received += len(piece)
        if self._received > 2 * self._limit + _STEP:
            raise too_large(self._limit)  # no coding makes a body so long: empty members do
        try:
            for start in range(0, len(piece), _SLICE):
                left = piece[start : start + _SLICE]
                while left:
                    left = self._step(left)
        except zlib.error as error:
            raise Failure(
                Reason.UPSTREAM_MALFORMED, "The body is not in the coding that it declares."
            ) from error

    def _step(self, piece: bytes) -> bytes:
        """Decodes at most one step and returns what is left to decode."""
        decoder = self._decoder
        if decoder is None:
            is_zlib = piece[0] & 0x0F == zlib.DEFLATED
            decoder = zlib.decompressobj(wbits=15 if is_zlib else -15)
        elif decoder.eof:  # a second member of a gzip body; deflate has none
            decoder = zlib.decompressobj(wbits=31 if self._is_gzip else 15)
        self._decoder = decoder
        self._body += decoder.decompress(piece, _STEP)
        self._check()
        return decoder.unconsumed_tail or decoder.unused_data

    def _check(self) -> None:
        size = self._taken + len(self._body)
        if size > self._limit or (size > _RATIO_FROM and size > _RATIO * self._received):
            raise too_large(self._limit)

    def take(self) -> bytes:
        body = bytes(self._body)
        self._taken += len(body)
        self._body.clear()
        return body

    def finish(self) -> bytes:
        decoder = self._decoder
        while decoder is not None and not decoder.eof:
            # A full step may have left output inside although no input is left.
            more = decoder.decompress(b"", _STEP)
            if not more:
                break
            self._body += more
            self._check()
        if self._received and (decoder is None or not decoder.eof):
            raise Failure(Reason.UPSTREAM_TRUNCATED, "The body ended before its coding did.")
        return bytes(self._body)


def too_large(limit: int) -> Failure:
    """Returns the failure of a body that is over its limit, in bytes."""
    return Failure(
        Reason.TOO_LARGE, "The upstream's answer is over its size limit.", limit=format_size(limit)
    )


def body_for(content_encoding: str, limit: int) -> Body:
    """Returns what collects a body of this coding (the header's value, empty for none) of at most
    `limit` decoded bytes, and at most 100 times its wire size after the first MiB.

    Raises UPSTREAM_MALFORMED for a coding that we did not say we accept; stacked ones are refused.
    """
    match content_encoding.strip().lower():
        case "" | "identity":
            return _Plain(limit)
        case "gzip" | "x-gzip":
            return _Zipped(limit, is_gzip=True)
        case "deflate":
            return _Zipped(limit, is_gzip=False)
    raise Failure(Reason.UPSTREAM_MALFORMED, "The body has a coding that was not asked for.")
