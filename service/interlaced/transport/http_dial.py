"""New connections to one origin: looked up, guarded, tried in turn, and within their time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

from interlaced.core.clock import TimeLimit
from interlaced.core.ports import Clock, Resolve
from interlaced.transport.egress import EgressGuard, resolver_of
from interlaced.transport.http_wire import Wire
from interlaced.transport.tls import ResumingContext
from interlaced.transport.wire_errors import connect_failure, slow_connect, tls_failure

__all__ = ["Dialer"]

_SHUNNED: Final = 30.0
"""How long an address that could not be connected to goes last, in seconds."""


class Dialer:
    """Connects to `host` and `port` within `timeout` seconds of the Clock.

    The guard sees the very address that is connected to. Several addresses of a name are tried one
    after the other in the resolver's order, which spreads the load, each with its share of the
    time that is left, so that a dead one cannot take it all; one that failed goes last for half a
    minute. A TLS session is resumed where the server lets us.
    """

    def __init__(  # noqa: PLR0913  # all by keyword: what a connect needs to know
        self,
        host: str,
        port: int,
        *,
        guard: EgressGuard,
        lookup: Resolve,
        clock: Clock,
        timeout: float,
        tls: ResumingContext | None,
    ) -> None:
        self._host, self._port = host, port
        self._guard = guard
        self._lookup = resolver_of(guard, lookup)
        self._clock = clock
        self._timeout = timeout
        self._tls = tls
        self._shunned: dict[str, float] = {}

    async def dial(self, factory: Callable[[], Wire]) -> Wire:
        """Returns a new connection; UPSTREAM_CONNECT, UPSTREAM_TLS, EGRESS_DENIED or OVERLOADED,
        and nothing was sent."""
        until = self._clock.now() + self._timeout
        try:
            with TimeLimit(self._clock, until):
                addresses = await self._addresses()
                return await self._try(addresses, until, factory)
        except TimeoutError as error:
            raise slow_connect() from error
        except ssl.SSLError as error:
            raise tls_failure() from error
        except (OSError, UnicodeError) as error:
            raise connect_failure(error) from error

    async def _addresses(self) -> list[str]:
        if _is_address(self._host):
            return [self._host]
        addresses = list(await self._lookup(self._host, self._port))
        if not addresses:
            raise OSError("the name has no address")
        now = self._clock.now()
        self._shunned = {each: until for each, until in self._shunned.items() if until > now}
        return sorted(addresses, key=self._shunned.__contains__)

    async def _try(
        self, addresses: Sequence[str], until: float, factory: Callable[[], Wire]
    ) -> Wire:
        clock = self._clock
        for number, address in enumerate(addresses[:-1]):
            now = clock.now()
            try:
                with TimeLimit(clock, now + (until - now) / (len(addresses) - number)):
                    return await self._connect(address, factory)
            except ssl.SSLError:
                raise  # another address of the name would be no better known
            except OSError:  # TimeoutError is one
                self._shunned[address] = now + _SHUNNED
        return await self._connect(addresses[-1], factory)

    async def _connect(self, address: str, factory: Callable[[], Wire]) -> Wire:
        self._guard.check(address, self._host)
        loop = asyncio.get_running_loop()
        name = self._host.rstrip(".") if self._tls else None
        _, wire = await loop.create_connection(
            factory, address, self._port, ssl=self._tls, server_hostname=name
        )
        return wire

    def learn(self, wire: Wire) -> None:
        """Keeps the TLS session of a connection for the next one. Call it when an answer is there:
        in TLS 1.3 the server's ticket comes behind the handshake."""
        tls = wire.tls
        if self._tls is not None and isinstance(tls, ssl.SSLObject):
            self._tls.keep(tls.session)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
