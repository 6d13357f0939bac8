"""Names for aiohttp: it connects to what a resolver of the house returns, and to nothing else."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from interlaced.core.ports import Resolve

__all__ = ["HouseResolver"]


class HouseResolver(AbstractResolver):
    """Lets aiohttp ask our resolver, once per connection; what it returns is what is connected to.

    Raises OSError where a name has no address, and whatever the resolver raises.
    """

    def __init__(self, lookup: Resolve) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError("the name has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Has nothing to close."""
