"""The gRPC server: built, bound, drained and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio

from interlaced.rpc.guard import Guard
from interlaced.rpc.noise import silence_poller
from interlaced.rpc.settings import RpcSettings

__all__ = ["BindError", "RpcServer", "TlsFiles", "server_options"]

_LAST_GRACE = 1.0


class BindError(RuntimeError):
    """The address cannot be listened on; most often another server has the port."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What the server shows its callers, as PEM files; with `client_ca` callers must show a
    certificate as well."""

    certificate: Path
    private_key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Reads the files and returns gRPC's credentials: TLS 1.2 or newer."""
        ca = self.client_ca.read_bytes() if self.client_ca is not None else None
        return grpc.ssl_server_credentials(
            [(self.private_key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=ca,
            require_client_auth=ca is not None,
        )


def server_options(settings: RpcSettings) -> list[tuple[str, int]]:
    """Returns gRPC's options. The client package ships what matches them; a mismatch of pings is
    the usual cause of connections that are closed for no reason."""

    def ms(seconds: float) -> int:
        return round(seconds * 1000)

    return [
        # Without it a second server takes half of the connections, silently.
        ("grpc.so_reuseport", 0),
        # Twice our own limit, so that our own error, with its details, comes first.
        ("grpc.max_receive_message_length", 2 * settings.max_message),
        ("grpc.max_send_message_length", 2 * settings.max_message),
        ("grpc.max_metadata_size", settings.max_metadata),
        ("grpc.absolute_max_metadata_size", 2 * settings.max_metadata),
        ("grpc.max_concurrent_streams", settings.max_streams),
        ("grpc.keepalive_time_ms", ms(settings.keepalive_time)),
        ("grpc.keepalive_timeout_ms", ms(settings.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", ms(settings.min_ping_interval)),
        ("grpc.max_connection_idle_ms", ms(settings.max_connection_idle)),
        ("grpc.max_connection_age_ms", ms(settings.max_connection_age)),
        ("grpc.max_connection_age_grace_ms", ms(settings.max_connection_age_grace)),
    ]


@dataclass(kw_only=True)
class RpcServer:
    """A gRPC server over ready services.

    `on_drain` is called first in a drain, in order: health turns, sessions end themselves. `tls`
    None means plaintext; whether that is allowed is decided before. `port` 0 takes a free one.
    """

    guard: Guard
    services: Sequence[grpc.GenericRpcHandler]
    host: str = "127.0.0.1"
    port: int = 0
    tls: TlsFiles | None = None
    on_drain: Sequence[Callable[[], None]] = field(default=())
    _server: grpc.aio.Server | None = field(default=None, init=False)

    async def start(self) -> int:
        """Binds and serves; returns the port. Raises BindError."""
        settings = self.guard.settings
        silence_poller(asyncio.get_running_loop())
        # No `maximum_concurrent_rpcs`: the pinned version lets far more through; the guard counts.
        server = grpc.aio.server(options=server_options(settings))
        server.add_generic_rpc_handlers((*self.services, self.guard.unknown_methods()))
        address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        try:
            if self.tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, self.tls.credentials())
        except RuntimeError as error:
            # Let go of the server while the loop runs: its end needs one, and a traceback would
            # hold it until there is none.
            del server
            cause = error.with_traceback(None)
            raise BindError(f"cannot listen on {address}: is the port taken?") from cause
        await server.start()
        self._server = server
        return port

    def begin_drain(self) -> None:
        """Refuses new RPCs with DRAINING, and tells health and sessions; the listener stays, so
        that callers hear it."""
        if not self.guard.is_draining:
            self.guard.begin_drain()
            for tell in self.on_drain:
                tell()

    async def stop(self, grace: float) -> None:
        """Ends within `grace` seconds and a moment; doing it twice does nothing.

        Finite RPCs get the grace; endless streams are ended at half of it by us, since gRPC would
        wait for them all the time and then cut them off without a status.
        """
        server, self._server = self._server, None
        if server is None:
            return
        self.begin_drain()
        if not await self.guard.wait_idle(grace / 2):
            self.guard.end_rpcs(only_endless=True)
            if not await self.guard.wait_idle(grace / 2):
                self.guard.end_rpcs(only_endless=False)
        self.guard.end_rpcs(only_endless=True)  # who only looked on until now
        # What is left are last bytes on their way out to callers that read.
        await server.stop(min(_LAST_GRACE, grace))
