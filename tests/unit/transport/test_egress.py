"""P48, T1, T2: the egress guard, spelling by spelling."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.failure import Failure, Reason
from interlaced.transport.egress import EgressGuard, resolve, resolver_of

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.1.1", "169.254.169.254",
    "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.51.100.1",
    "203.0.113.1", "198.18.0.1", "192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1",
    "fd00:ec2::254", "fd20:ce::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:c0a8:101::1",
    "2001::1", "2001:db8::1", "2001:10::1", "100::1", "3fff::1", "5f00::1",
    "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1",
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "192.169.0.1", "2606:4700:4700::1111",
    "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1",
]  # fmt: skip

NO_ADDRESS = [
    "",
    "localhost",
    "0x7f000001",
    "2130706433",
    "127.1",
    "0177.0.0.1",
    "[::1]",
    "1.1.1.1.",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(Failure) as caught:
        EgressGuard().check(address)
    assert caught.value.reason is Reason.EGRESS_DENIED
    assert address not in repr(caught.value) + repr(caught.value.context) or address in ("", "::")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    EgressGuard().check(address)
    assert EgressGuard().permits(address)


@pytest.mark.parametrize("address", NO_ADDRESS)
def test_what_is_no_numeric_address_is_refused(address: str) -> None:
    """Other spellings never get here: the guard sees what the resolver or the URL made of them."""
    assert not EgressGuard(("0.0.0.0/0", "::/0")).permits(address)


def test_a_cidr_allows_its_addresses_alone_in_every_form() -> None:
    guard = EgressGuard(("10.1.0.0/16",))
    assert guard.permits("10.1.2.3")
    assert guard.permits("::ffff:10.1.2.3")
    assert guard.permits("64:ff9b::a01:203")
    assert not guard.permits("10.2.0.1")


def test_an_exact_host_allows_its_own_private_addresses() -> None:
    guard = EgressGuard(("shop.internal", "10.0.0.5"))
    assert guard.permits("10.0.0.9", "shop.internal")
    assert guard.permits("10.0.0.9", "SHOP.internal.")
    assert not guard.permits("10.0.0.9", "evil-shop.internal")
    assert not guard.permits("10.0.0.9", "sub.shop.internal")
    assert guard.permits("10.0.0.5", "anything")


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_metadata_addresses_pass_by_cidr_only(address: str) -> None:
    assert not EgressGuard(("metadata.internal", address)).permits(address, "metadata.internal")
    assert not EgressGuard(("64:ff9b::/96", "::ffff:0:0/96")).permits("64:ff9b::a9fe:a9fe")
    assert EgressGuard(("169.254.169.254/32", "fd00:ec2::/32")).permits(address)


@pytest.mark.parametrize("text", ["", "*.internal", "10.0.0.0/33", "10.0.0.1/8", "a b", "http://a"])
def test_an_allowance_that_is_neither_host_nor_cidr_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="exact host name"):
        EgressGuard((text,))


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_alike_in_all_its_forms(number: int) -> None:
    guard = EgressGuard()
    plain = ip_address(number)
    mapped = f"::ffff:{plain}"
    translated = str(ip_network("64:ff9b::/96")[number])
    assert guard.permits(mapped) is guard.permits(translated) is guard.permits(str(plain))


async def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["1.1.1.1", "127.0.0.1"]

    with pytest.raises(Failure):
        await resolver_of(EgressGuard(), lookup)("rebind.example", 80)


async def test_the_system_resolver_returns_numeric_addresses_once() -> None:
    found = await resolve("localhost", 80)
    assert found
    assert len(set(found)) == len(found)
    assert {ip_address(address).is_loopback for address in found} == {True}
