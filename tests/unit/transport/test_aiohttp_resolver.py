"""What aiohttp is told of a name."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.transport.aiohttp_resolver import HouseResolver
from interlaced.transport.egress import EgressGuard, resolver_of


def resolver_to(*addresses: str) -> HouseResolver:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return addresses

    return HouseResolver(lookup)


async def test_every_address_is_handed_on_in_order_with_its_family() -> None:
    found = await resolver_to("203.0.113.7", "2001:db8::7").resolve("both.example", 8443)
    assert [(one["host"], one["family"]) for one in found] == [
        ("203.0.113.7", socket.AF_INET),
        ("2001:db8::7", socket.AF_INET6),
    ]
    assert {(one["hostname"], one["port"]) for one in found} == {("both.example", 8443)}


async def test_nothing_is_looked_up_again_when_the_socket_is_made() -> None:
    (found,) = await resolver_to("203.0.113.7").resolve("pinned.example", 80)
    assert found["flags"] & socket.AI_NUMERICHOST
    assert found["flags"] & socket.AI_NUMERICSERV


async def test_a_name_without_an_address_is_an_os_error() -> None:
    with pytest.raises(OSError, match="no address"):
        await resolver_to().resolve("nowhere.example", 80)


async def test_what_the_guard_refuses_is_raised_as_it_is() -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    resolver = HouseResolver(resolver_of(EgressGuard(), lookup))
    with pytest.raises(Failure) as refused:
        await resolver.resolve("rebind.example", 80)
    assert refused.value.reason is Reason.EGRESS_DENIED
    await resolver.close()
