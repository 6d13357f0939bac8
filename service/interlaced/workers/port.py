"""The port of a group: shared among its workers, and closed to everybody else.

The kernel shares a port among all listeners of one user that set SO_REUSEPORT, and tells none of
them about the others, so that a forgotten server could take half of the connections unnoticed. A
group therefore takes its port as a single server does, without that option, which fails where
anybody listens; only then it opens it, to sockets that set the option, and holds it with one that
never listens. Whoever comes later and takes the port in the same way fails, another group included.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Self

from interlaced.rpc.server import BindError, spell_address
from interlaced.settings import SettingsError

__all__ = ["Port"]

_EVERYWHERE = ("0.0.0.0", "::")
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Port:
    """A TCP port that is held for the workers of one group. Use it as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        """`port` 0 takes a free one at `hold`. Raises SettingsError for a host without ports."""
        if host.startswith("unix:"):
            raise SettingsError("a Unix socket cannot be shared: --workers needs a TCP port")
        if not hasattr(socket, "SO_REUSEPORT"):
            raise SettingsError("this platform cannot share a port: --workers needs SO_REUSEPORT")
        self._host = host.strip("[]")
        self._held: list[socket.socket] = []
        self.number = port

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def hold(self) -> None:
        """Takes the port at every address of the host; raises BindError if anybody listens."""
        try:
            for family, address in _addresses(self._host):
                self._take(family, address)
        except OSError as error:
            self.release()
            raise self._failure() from error
        if not self._held:
            raise self._failure()

    def release(self) -> None:
        """Gives the port back; doing it twice does nothing."""
        while self._held:
            self._held.pop().close()

    def _failure(self) -> BindError:
        address = spell_address(self._host, self.number)
        return BindError(f"cannot listen on {address}: is the port taken?")

    def _take(self, family: int, address: str) -> None:
        """Holds one address; one that this machine does not have is left out."""
        with contextlib.ExitStack() as stack:
            single = stack.enter_context(_open(family))
            try:
                single.bind((address, self.number))
            except OSError as error:
                if error.errno in _NO_SUCH_ADDRESS:
                    return
                raise
            single.listen(1)
            number = int(single.getsockname()[1])
            # From here on sockets with the option may join; this one leaves at once, so that no
            # connection is ever waiting at it.
            single.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            shared = _open(family)
            self._held.append(shared)
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            shared.bind((address, number))
            self.number = number
            # Needed against connections that linger from before; kept, it would let a server that
            # sets it bind beside us as long as no worker listens.
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def _addresses(host: str) -> list[tuple[int, str]]:
    """Every address of the host, once; all of them are one of IPv6 that takes IPv4 as well, as
    gRPC has it, where this machine knows IPv6."""
    found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((int(family), str(where[0])) for family, *_, where in found)
    if any(address in _EVERYWHERE for _, address in addresses) and socket.has_dualstack_ipv6():
        return [(socket.AF_INET6, "::")]
    return list(addresses)


def _open(family: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return opened
