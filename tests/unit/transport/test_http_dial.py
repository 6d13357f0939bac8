"""New connections: their addresses, their order and their time."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable, Sequence

import pytest

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.testing.clock import VirtualClock
from interlaced.transport.egress import EgressGuard
from interlaced.transport.http_dial import Dialer
from interlaced.transport.http_wire import Wire

Behave = Callable[[str], object]


def dial(
    *addresses: str, behave: Behave, times: int = 1, pause: float = 0.0, host: str = "a.example"
) -> list[object]:
    """Returns the addresses that were tried, and what came of it each time."""
    clock = VirtualClock()
    seen: list[object] = []

    async def lookup(host: str, port: int) -> Sequence[str]:
        return addresses

    async def create(factory: Callable[[], Wire], address: str, *_: object, **__: object) -> object:
        seen.append(address)
        what = behave(address)
        if isinstance(what, BaseException):
            raise what
        if what == "hang":
            await clock.sleep(100)
        return None, factory()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.create_connection = create  # type: ignore[method-assign,assignment]  # no network
        dialer = Dialer(
            host,
            80,
            guard=EgressGuard(("10.0.0.0/8",)),
            lookup=lookup,
            clock=clock,
            timeout=2.0,
            tls=None,
        )
        for _ in range(times):
            try:
                await dialer.dial(lambda: Wire(loop, 1, lambda _: None, lambda _: None))
            except Failure as failure:
                assert failure.reached is Reached.NOT_SENT
                seen.append(failure.reason)
            await clock.sleep(pause)
        seen.append(clock.now() - 1000)

    clock.run(main())
    return seen


def test_addresses_are_tried_in_turn_and_a_dead_one_goes_last_for_a_while() -> None:
    refuse = {"10.0.0.1": ConnectionRefusedError()}
    seen = dial("10.0.0.1", "10.0.0.2", behave=refuse.get, times=3, pause=20.0)
    assert seen == ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1", "10.0.0.2", 60.0]


def test_the_resolvers_order_is_kept() -> None:
    assert dial("10.0.0.3", "10.0.0.1", behave={}.get, times=2) == ["10.0.0.3", "10.0.0.3", 0.0]


def test_an_address_that_hangs_takes_only_its_share() -> None:
    seen = dial("10.0.0.1", "10.0.0.2", behave={"10.0.0.1": "hang"}.get)
    assert seen == ["10.0.0.1", "10.0.0.2", 1.0]


def test_all_together_take_no_longer_than_they_may() -> None:
    seen = dial("10.0.0.1", "10.0.0.2", behave=lambda _: "hang")
    assert seen == ["10.0.0.1", "10.0.0.2", Reason.UPSTREAM_CONNECT, 2.0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(), Reason.UPSTREAM_CONNECT),
        (OSError(errno.EMFILE, ""), Reason.OVERLOADED),
        (ssl.SSLError(), Reason.UPSTREAM_TLS),
        (ConnectionResetError(), Reason.UPSTREAM_CONNECT),
    ],
)
def test_what_goes_wrong_has_its_reason(error: Exception, reason: Reason) -> None:
    assert dial("10.0.0.1", behave=lambda _: error) == ["10.0.0.1", reason, 0.0]


def test_a_bad_certificate_is_not_tried_at_another_address() -> None:
    seen = dial("10.0.0.1", "10.0.0.2", behave=lambda _: ssl.SSLCertVerificationError())
    assert seen == ["10.0.0.1", Reason.UPSTREAM_TLS, 0.0]


def test_a_name_with_one_inner_address_is_not_connected_to() -> None:
    assert dial("10.0.0.1", "192.168.0.1", behave={}.get) == [Reason.EGRESS_DENIED, 0.0]


def test_an_address_is_not_looked_up_and_guarded_all_the_same() -> None:
    assert dial(behave={}.get, host="10.0.0.9") == ["10.0.0.9", 0.0]
    assert dial(behave={}.get, host="192.168.0.9") == [Reason.EGRESS_DENIED, 0.0]


def test_a_name_without_addresses_cannot_be_connected_to() -> None:
    assert dial(behave={}.get) == [Reason.UPSTREAM_CONNECT, 0.0]
