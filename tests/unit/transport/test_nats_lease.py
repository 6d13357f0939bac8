"""Leases are renewed from receipt, for a while."""

from __future__ import annotations

from fake_link import FakeLink

from interlaced.testing.clock import VirtualClock
from interlaced.transport.nats_lease import Leases


def test_a_lease_is_renewed_three_times_as_often_as_it_runs_out_and_only_for_a_while() -> None:
    """P25."""
    clock = VirtualClock()
    link = FakeLink()

    async def main() -> None:
        leases = Leases(link, clock, wait=30.0, hold=60.0)
        leases.start()
        leases.add("a")
        await clock.sleep(35)
        assert link.sent == [("a", b"+WPI", "")] * 3
        leases.add("b")
        leases.drop("b")
        leases.drop("b")
        await clock.sleep(100)
        assert link.sent == [("a", b"+WPI", "")] * 6
        assert list(leases.held) == []
        await leases.close()
        await leases.close()

    clock.run(main())


def test_on_a_lost_link_nothing_is_renewed_and_all_stays_known() -> None:
    clock = VirtualClock()
    link = FakeLink()

    async def main() -> None:
        leases = Leases(link, clock, wait=3.0, hold=60.0)
        leases.start()
        leases.add("a")
        link.lose()
        await clock.sleep(10)
        assert (link.sent, list(leases.held)) == ([], ["a"])
        await leases.close()

    clock.run(main())


async def test_what_never_started_is_closed_too() -> None:
    link = FakeLink()
    leases = Leases(link, VirtualClock(), wait=1.0, hold=1.0)
    await leases.close()
    assert (link.sent, list(leases.held)) == ([], [])
