"""What a subscription asks of the feed that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from interlaced.core.batch import BatchMemo
from interlaced.core.ports import Clock
from interlaced.core.ring import Ring

if TYPE_CHECKING:
    from interlaced.core.subscriber import Subscription

__all__ = ["SubscriptionOwner"]


class SubscriptionOwner(Protocol):
    """The feed that a subscription belongs to."""

    ring: Ring
    memo: BatchMemo
    writing: set[Subscription]
    waiting: set[Subscription]

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing will follow what the ring holds."""
        ...

    @property
    def has_connected(self) -> bool:
        """Whether the upstream connection has ever stood in this life of the ring."""
        ...

    def seated(self, index: int) -> None:
        """A subscriber now reads from this number of the ring on."""
        ...

    def told(self, subscription: Subscription, dropped: int) -> None:
        """So many events were dropped for this subscriber."""
        ...

    async def remove(self, subscription: Subscription) -> None:
        """The subscription is over."""
        ...
