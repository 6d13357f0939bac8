"""A shared feed is what a subscription asks for."""

from __future__ import annotations

from feed_rig import make_rig

from interlaced.core.subscription_owner import SubscriptionOwner
from interlaced.testing.clock import VirtualClock


def test_a_shared_feed_owns_subscriptions() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        owner: SubscriptionOwner = rig.hub.find("up.Ticks")
        assert owner.clock is clock
        assert not owner.is_over
        assert not owner.has_connected
        assert owner.waiting == owner.writing == set()
        await rig.hub.close()

    clock.run(main())
