"""The channels to a service: keepalive, limits, TLS, and no retry of gRPC's own."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

__all__ = ["ChannelConfig", "Tls", "caller_metadata", "channel_options", "is_local", "open_channel"]

Option: TypeAlias = tuple[str, int | str]

SERVICE_CONFIG = {
    # Under pick_first gRPC does no health checking.
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
    "methodConfig": [
        {
            "name": [
                {"service": "interlace.v1.GatewayService"},
                {"service": "interlace.v1.FeedService"},
                {"service": "interlace.v1.CatalogService"},
            ],
            "waitForReady": False,
        }
    ],
}
"""What gRPC is told about the service. There is no retryPolicy: with one, a write whose connection
was cut in mid-handler ran three times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to trust the service, and how to prove oneself; all in PEM.

    Without `roots` the certificate authorities that gRPC ships are trusted. `private_key` and
    `certificate_chain` are the client certificate. `server_name` replaces the name that the
    server's certificate must have.
    """

    roots: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfig:
    """Settings of the connection; times in seconds, sizes in bytes.

    `max_message` is the service's own limit. gRPC's stands at twice that, on both sides, so that it
    is the service that refuses, with an error that says why. An `api_key` travels in plain text
    unless there is TLS: without it, it is refused for any address but loopback, unless
    `is_network_trusted`.
    """

    tls: Tls | None = None
    api_key: str = field(default="", repr=False)
    is_network_trusted: bool = False
    max_message: int = 4 * 1024 * 1024
    keepalive_time: float = 30.0
    keepalive_timeout: float = 10.0
    checks_health: bool = True
    options: tuple[Option, ...] = ()
    """Further gRPC channel arguments; they win over ours."""


def channel_options(config: ChannelConfig, *, for_feeds: bool = False) -> list[Option]:
    """Returns the channel arguments.

    A channel for feeds also pings while it is quiet, and keeps gRPC from growing the receive window
    by its own estimate, which would hold megabytes per subscription. It does not watch health: a
    stream hears of a shutdown by itself, and where gRPC has missed the reset of a connection (one
    that came together with data) a channel that waits for health stays stuck until the next ping,
    while a new stream finds out as soon as it is written.
    """
    service_config = dict(SERVICE_CONFIG)
    if for_feeds or not config.checks_health:
        del service_config["healthCheckConfig"]
    options: list[Option] = [
        ("grpc.enable_retries", 0),
        ("grpc.service_config", json.dumps(service_config)),
        # A service config from DNS could bring a retry policy back.
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.keepalive_time_ms", round(config.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", round(config.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", int(for_feeds)),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_send_message_length", 2 * config.max_message),
        ("grpc.max_receive_message_length", 2 * config.max_message),
        # Its default waits up to two minutes before it looks for a service that is back.
        ("grpc.initial_reconnect_backoff_ms", 250),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # Streams of feeds do not share a connection, and its limit of streams, with calls.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if for_feeds:
        options.append(("grpc.http2.bdp_probe", 0))
    if config.tls is not None and config.tls.server_name:
        options.append(("grpc.ssl_target_name_override", config.tls.server_name))
    return [*options, *config.options]


def open_channel(
    target: str, config: ChannelConfig, *, for_feeds: bool = False
) -> grpc.aio.Channel:
    """Opens a channel, bound to the running loop; the caller closes it.

    Raises ValueError for an API key that would cross a network in plain text.
    """
    options = channel_options(config, for_feeds=for_feeds)
    if config.tls is None:
        if config.api_key and not config.is_network_trusted and not is_local(target):
            raise ValueError("an API key needs TLS, unless the service is on this machine")
        return grpc.aio.insecure_channel(target, options=options)
    credentials = grpc.ssl_channel_credentials(
        config.tls.roots, config.tls.private_key, config.tls.certificate_chain
    )
    return grpc.aio.secure_channel(target, credentials, options=options)


def caller_metadata(config: ChannelConfig) -> tuple[tuple[str, str], ...]:
    """Returns the metadata that says who calls."""
    return (("authorization", f"Bearer {config.api_key}"),) if config.api_key else ()


def is_local(target: str) -> bool:
    """Whether a target is on this machine for certain."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    host = target.rsplit("/", 1)[-1].removeprefix("ipv4:").removeprefix("dns:")
    host = host.rsplit(":", 1)[0] if host.count(":") == 1 or "]" in host else host
    host = host.strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
