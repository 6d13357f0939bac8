"""What a leader and its followers say to each other; each message begins with one of these."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from interlaced.core.cursor import Place
from interlaced.relay.packing import Scanner, pack_place, unpack_place
from interlaced.relay.wire import WireError

__all__ = [
    "CONNECTED",
    "DISCONNECTED",
    "ITEMS",
    "OVER",
    "Hello",
    "Seat",
    "Welcome",
]

VERSION = 1

ITEMS = b"i"
"""Items of the ring follow."""
CONNECTED = b"c"
"""What the ring held has come over, and the upstream connection stands."""
DISCONNECTED = b"d"
"""What the ring held has come over, and the upstream connection does not stand."""
OVER = b"o"
"""The feed is over for good."""

_HELLO = struct.Struct(">BBB")  # H, version, whether a place follows
_WELCOME = struct.Struct(">BBBI")  # W, version, seat, epoch; a place follows


class Seat(enum.IntEnum):
    """Where a leader seats a follower."""

    FRESH = 0
    """At the beginning of the leader's ring."""
    RESUMED = 1
    """Behind the place that the follower named."""
    BEHIND = 2
    """Nowhere: the source can replay what is between the follower's place and the leader's ring,
    and the follower reads it itself."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A follower's first message: where it is, None with an empty ring."""

    place: Place | None

    def pack(self) -> bytes:
        """Writes it."""
        head = _HELLO.pack(ord("H"), VERSION, self.place is not None)
        return head + (b"" if self.place is None else pack_place(self.place))

    @classmethod
    def unpack(cls, message: bytes) -> Hello:
        """Reads it; WireError for anything else."""
        scanner = Scanner(message)
        mark, version, has_place = scanner.fields(_HELLO)
        if (mark, version) != (ord("H"), VERSION):
            raise WireError("the follower speaks another version")
        return cls(unpack_place(scanner) if has_place else None)


@dataclass(frozen=True, slots=True)
class Welcome:
    """A leader's first message; `epoch` and `floor` are those of its ring."""

    seat: Seat
    epoch: int
    floor: Place

    def pack(self) -> bytes:
        """Writes it."""
        return _WELCOME.pack(ord("W"), VERSION, self.seat, self.epoch) + pack_place(self.floor)

    @classmethod
    def unpack(cls, message: bytes) -> Welcome:
        """Reads it; WireError for anything else."""
        scanner = Scanner(message)
        mark, version, seat, epoch = scanner.fields(_WELCOME)
        if (mark, version) != (ord("W"), VERSION) or seat > max(Seat):
            raise WireError("the leader speaks another version")
        return cls(Seat(seat), epoch, unpack_place(scanner))
