"""The egress guard: which addresses may be connected to."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from interlaced.core.failure import Failure, Reason
from interlaced.core.ports import Resolve

__all__ = ["EgressGuard", "is_host_name", "resolve", "resolver_of"]

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_HOST = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")

_METADATA = tuple(
    ip_network(text)
    for text in (
        "169.254.169.254/32",  # AWS, GCP, Azure, DigitalOcean, OpenStack
        "169.254.169.253/32",  # the resolver of a VPC
        "169.254.170.2/32",  # ECS task credentials
        "169.254.170.23/32",  # EKS pod identity
        "169.254.0.23/32",  # Tencent Cloud
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's host agent: globally routable by its number
        "192.0.0.192/32",  # Oracle Cloud's old address
        "fd00:ec2::254/128",  # AWS over IPv6
        "fd00:ec2::253/128",
        "fd00:ec2::23/128",
        "fd20:ce::254/128",  # GCP over IPv6
        "fd00:42::42/128",  # Scaleway
    )
)
"""Addresses that hand out credentials: the name of a host never allows them, only a CIDR does."""

_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays, deprecated, end at whoever announces them
        "::/96",  # ::a.b.c.d, deprecated
        "64:ff9b:1::/48",  # a network's own NAT64
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",  # site-local, deprecated
    )
)
"""Refused whatever the standard library of this Python version thinks of them."""

_NAT64 = ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
_MESSAGE = "The connector may not reach this address."


class EgressGuard:
    """Tells which numeric addresses a connector may connect to: public ones, and its allowances.

    An allowance is a CIDR (`10.0.0.0/8`), an address, or an exact host name. Only a CIDR lets the
    addresses of metadata services through: a name or a bare address never does.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._hosts: set[str] = set()
        self._exact: list[_Network] = []
        self._networks: list[_Network] = []
        for text in allow:
            self._add(text)

    def _add(self, text: str) -> None:
        try:
            (self._networks if "/" in text else self._exact).append(ip_network(text))
        except ValueError:
            if not is_host_name(text):
                raise ValueError(
                    "an allowance is an exact host name, an address or a CIDR"
                ) from None
            self._hosts.add(_host_name(text))

    def check(self, address: str, host: str = "") -> None:
        """Raises EGRESS_DENIED unless `address`, numeric and as it is connected to, is public or
        allowed. `host` is the name that it was resolved from. The failure names no address."""
        if not self.permits(address, host):
            raise Failure(Reason.EGRESS_DENIED, _MESSAGE)

    def permits(self, address: str, host: str = "") -> bool:
        """Whether `check` would pass. What cannot be read as an address is refused."""
        try:
            number = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        target = _embedded(number) or number
        if _is_inside(target, self._networks):
            return True
        if _is_inside(target, _METADATA):
            return False
        is_named = bool(host) and _host_name(host) in self._hosts
        return (
            is_named
            or _is_inside(number, self._networks)
            or _is_inside(target, self._exact)
            or _is_inside(number, self._exact)
            or _is_public(target)
        )


def is_host_name(text: str) -> bool:
    """Whether the text can be looked up: labels of letters, digits, `-` and `_`, none too long."""
    return _HOST.fullmatch(text) is not None


def _host_name(text: str) -> str:
    return text.rstrip(".").lower()


def _embedded(number: _Address) -> IPv4Address | None:
    """Returns the IPv4 address that a packet to this IPv6 address may end at."""
    if isinstance(number, IPv4Address):
        return None
    if number.ipv4_mapped or number.sixtofour:
        return number.ipv4_mapped or number.sixtofour
    value = int(number)
    if number in _NAT64 or (value >> 32) & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(value & 0xFFFFFFFF)
    return None


def _is_inside(number: _Address, networks: Sequence[_Network]) -> bool:
    return any(number.version == net.version and number in net for net in networks)


def _is_public(number: _Address) -> bool:
    return (
        number.is_global
        and not number.is_multicast
        and not number.is_reserved
        and not _is_inside(number, _NOT_PUBLIC)
    )


async def resolve(host: str, port: int) -> Sequence[str]:
    """Resolves as the system does, off the loop; OSError when there is no such name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolver_of(guard: EgressGuard, lookup: Resolve = resolve) -> Resolve:
    """Returns a resolver that raises EGRESS_DENIED unless *every* address of a name is permitted:
    a name with one private address among its own is not to be trusted with the choice."""

    async def guarded(host: str, port: int) -> Sequence[str]:
        addresses = await lookup(host, port)
        for address in addresses:
            guard.check(address, host)
        return addresses

    return guarded
