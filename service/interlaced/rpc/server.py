"""The gRPC server: built, bound, drained and stopped."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.internal import api_implementation

from interlaced.rpc.acceptors import Acceptors
from interlaced.rpc.batches import finish_batches
from interlaced.rpc.guard import Guard
from interlaced.rpc.noise import silence_poller
from interlaced.rpc.settings import RpcSettings
from interlaced.rpc.threads import patient_threads
from interlaced.telemetry.log import log

__all__ = ["BindError", "RpcServer", "TlsFiles", "server_options", "spell_address"]

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
        """Reads the files and returns gRPC's credentials: TLS 1.2 or newer. Raises BindError for
        a file that cannot be read; what is in them shows only when the server binds."""
        ca = None if self.client_ca is None else _read(self.client_ca)
        return grpc.ssl_server_credentials(
            [(_read(self.private_key), _read(self.certificate))],
            root_certificates=ca,
            require_client_auth=ca is not None,
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BindError(f"{path.name}: cannot be read") from error


def spell_address(host: str, port: int) -> str:
    """Returns host and port as gRPC and URLs spell them; `unix:PATH` has no port."""
    if host.startswith("unix:"):
        return host
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _is_answered(path: str) -> bool:
    """Whether somebody listens on a Unix socket; gRPC would take it away without a word."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (0, errno.EAGAIN)


def server_options(settings: RpcSettings, *, is_shared: bool = False) -> list[tuple[str, int]]:
    """Returns gRPC's options; `is_shared` lets other processes of this user listen on the same
    port, which only a group of workers may do. The client package ships what matches them; a
    mismatch of pings is the usual cause of connections that are closed for no reason."""

    def ms(seconds: float) -> int:
        return round(seconds * 1000)

    return [
        # Without it a second server takes half of the connections, silently.
        ("grpc.so_reuseport", int(is_shared)),
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
    None means plaintext; whether that is allowed is decided before. `port` 0 takes a free one;
    `host` may be `unix:PATH`. `is_shared` is for the workers of a group, whose supervisor holds
    the port against everybody else.
    """

    guard: Guard
    services: Sequence[grpc.GenericRpcHandler]
    host: str = "127.0.0.1"
    port: int = 0
    tls: TlsFiles | None = None
    is_shared: bool = False
    on_drain: Sequence[Callable[[], None]] = field(default=())
    _server: grpc.aio.Server | None = field(default=None, init=False)
    _acceptors: Acceptors | None = field(default=None, init=False)

    async def start(self) -> int:
        """Binds and serves; returns the port. Raises BindError."""
        settings = self.guard.settings
        silence_poller(asyncio.get_running_loop())
        finish_batches()
        if api_implementation.Type() != "upb":
            # It works, ten times slower, and nothing else would tell.
            log.warning("server.slow_protobuf", implementation=api_implementation.Type())
        with patient_threads():
            handlers = (*self.services, self.guard.unknown_methods())
            server, port = self._bound(settings, handlers)
            await server.start()
        self._server = server
        self._acceptors = Acceptors(server, handlers)
        self._acceptors.start()
        return port

    def _bound(
        self, settings: RpcSettings, handlers: Sequence[grpc.GenericRpcHandler]
    ) -> tuple[grpc.aio.Server, int]:
        """Returns a server that is bound and does not serve yet, and its port."""
        # No `maximum_concurrent_rpcs`: the pinned version lets far more through; the guard counts.
        server = grpc.aio.server(options=server_options(settings, is_shared=self.is_shared))
        server.add_generic_rpc_handlers(handlers)
        address = spell_address(self.host, self.port)
        if self.host.startswith("unix:") and _is_answered(self.host.removeprefix("unix:")):
            raise BindError(f"cannot listen on {address}: another server does")
        credentials = None if self.tls is None else self.tls.credentials()
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            # Let go of the server while the loop runs: its end needs one, and a traceback would
            # hold it until there is none.
            del server
            cause = error.with_traceback(None)
            doubt = (
                "is the port taken" if credentials is None else "is it taken, or a PEM file wrong"
            )
            raise BindError(f"cannot listen on {address}: {doubt}?") from cause
        return server, port

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
        acceptors, self._acceptors = self._acceptors, None
        if server is None or acceptors is None:
            return
        self.begin_drain()
        if not await self.guard.wait_idle(grace / 2):
            self.guard.end_rpcs(only_endless=True)
            if not await self.guard.wait_idle(grace / 2):
                self.guard.end_rpcs(only_endless=False)
        self.guard.end_rpcs(only_endless=True)  # who only looked on until now
        # What is left are last bytes on their way out to callers that read.
        await server.stop(min(_LAST_GRACE, grace))
        await acceptors.stopped()
