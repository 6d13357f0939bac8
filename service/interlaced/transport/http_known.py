"""The heads that both readers of answers took already: a server sends few, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from interlaced.transport.http_head import Head

__all__ = ["LARGEST_KNOWN", "MOST_KNOWN", "SELDOM", "KnownHeads"]

LARGEST_KNOWN: Final = 2048
"""The longest head that is remembered, in bytes."""
MOST_KNOWN: Final = 256
"""How many heads are remembered. One more, and all are forgotten, which costs a reading each."""
SELDOM: Final = 4
"""Once there were too many heads, one in so many is remembered: to remember what never comes again
is work for nothing, and what does come again gets in soon all the same."""

_Known: TypeAlias = tuple[int, int, Mapping[str, str]]


class KnownHeads:
    """Remembers what was made of a head, for one origin.

    A head gets in when an answer that begins with it was whole: both readers took it, it names the
    length of its body and no coding, the body ended where both of them said, and the connection
    may be used again. Such an answer has one reading, whatever the bytes of its body: neither
    reader looks at them, they only count them. So the same head before as many bytes is the same
    answer with another body, and nobody needs to read it again. Of anything else, be it a byte
    less or more or elsewhere, this knows nothing.
    """

    __slots__ = ("_heads", "_passed", "_seldom", "find")

    def __init__(self) -> None:
        self._heads: dict[bytes, _Known] = {}
        self._seldom = 1
        self._passed = 0
        self.find = self._heads.get
        """Takes a head with its empty line; returns its body's length, its status and its headers,
        or None."""

    def __len__(self) -> int:
        return len(self._heads)

    def add(self, raw: bytes, head: Head) -> None:
        """Remembers a head with its empty line. Call it only with an answer's that both readers
        took whole; what is not plain is left out."""
        is_plain = head.length >= 0 and head.is_kept and not head.coding
        if not is_plain or head.status < 200 or len(raw) > LARGEST_KNOWN:
            return
        self._passed += 1
        if self._passed < self._seldom:
            return
        self._passed = 0
        if len(self._heads) >= MOST_KNOWN:
            self._heads.clear()
            self._seldom = SELDOM
        # A copy: whoever got the first answer may write into its headers.
        self._heads[raw] = (head.length, head.status, MappingProxyType(head.headers.copy()))
