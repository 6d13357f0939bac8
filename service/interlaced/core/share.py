"""What each worker may use of a limit that holds for the whole server."""

from __future__ import annotations

from interlaced.core.seat import Seat
from interlaced.core.units import Rate

__all__ = ["share_count", "share_rate"]


def share_count(whole: int, seat: Seat) -> int:
    """Returns the seat's share of `whole`; the shares of all seats add up to it exactly.

    What does not divide goes to the first seats, one each, so that a share is 0 where `whole` is
    smaller than the group: whoever cannot do with nothing checks before.
    """
    share, rest = divmod(whole, seat.count)
    return share + (seat.index < rest)


def share_rate(whole: Rate, seat: Seat) -> Rate:
    """Returns the seat's share of a rate: the same for every seat."""
    return Rate(whole.count / seat.count, whole.seconds)
