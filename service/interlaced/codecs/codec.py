"""What every codec has in common: values, and the one way in which it refuses."""

from __future__ import annotations

from typing import Protocol, TypeAlias

__all__ = ["Codec", "CodecError", "UnfitError", "Value"]

Value: TypeAlias = object
"""None, bool, int, float, str, bytes, a list of values, or a dict of values by str."""


class CodecError(ValueError):
    """Bytes that are not in the format, or a value that the format cannot hold without loss.

    The text is ours; `place` says where, and never what stands there.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class UnfitError(CodecError):
    """A value that was read from one format, and that the other cannot hold without loss."""


class Codec(Protocol):
    """A format of values. Both ways are lossless, or raise CodecError."""

    def decode(self, data: bytes, /) -> Value:
        """Reads one whole value."""
        ...

    def decode_carefully(self, data: bytes, /) -> Value:
        """As `decode`, without the short way for what is usual; same value, same refusals."""
        ...

    def encode(self, value: Value, /) -> bytes:
        """Writes one whole value."""
        ...
