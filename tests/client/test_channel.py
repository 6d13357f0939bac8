"""Channels: the settings that must match the service's, TLS, and who may see an API key."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from certificates import Authority

from interlace import ChannelConfig, Client, Tls, Unauthenticated, Unavailable
from interlace.channel import caller_metadata, channel_options, is_local, open_channel
from interlaced.core.secret import Secret
from interlaced.rpc.callers import require_api_key
from interlaced.rpc.server import TlsFiles, server_options
from interlaced.rpc.settings import RpcSettings


def test_grpc_itself_never_repeats_a_call() -> None:
    options = dict(channel_options(ChannelConfig()))
    assert options["grpc.enable_retries"] == 0
    assert options["grpc.service_config_disable_resolution"] == 1
    assert "retry" not in str(options["grpc.service_config"]).lower()


@pytest.mark.parametrize("for_feeds", [False, True])
def test_p34_client_and_service_ship_matching_keepalives(for_feeds: bool) -> None:
    """P34: a mismatch is the usual cause of `too_many_pings`."""
    client = dict(channel_options(ChannelConfig(), for_feeds=for_feeds))
    service = dict(server_options(RpcSettings()))
    least = service["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert int(client["grpc.keepalive_time_ms"]) >= 2 * least
    assert client["grpc.keepalive_timeout_ms"] == 10_000
    assert client["grpc.http2.max_pings_without_data"] == 0
    assert service["grpc.keepalive_permit_without_calls"] == 1
    assert client["grpc.keepalive_permit_without_calls"] == int(for_feeds)


def test_p35_both_sides_state_the_same_limits() -> None:
    client = dict(channel_options(ChannelConfig()))
    service = dict(server_options(RpcSettings()))
    for name in ("grpc.max_send_message_length", "grpc.max_receive_message_length"):
        assert client[name] == service[name] == 2 * RpcSettings().max_message


def test_a_channel_for_feeds_does_not_grow_its_window() -> None:
    assert dict(channel_options(ChannelConfig(), for_feeds=True))["grpc.http2.bdp_probe"] == 0
    assert "grpc.http2.bdp_probe" not in dict(channel_options(ChannelConfig()))


def test_health_is_watched_under_round_robin_unless_that_is_off() -> None:
    config = json.loads(str(dict(channel_options(ChannelConfig()))["grpc.service_config"]))
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]
    assert config["healthCheckConfig"] == {"serviceName": ""}
    for plain in (
        channel_options(ChannelConfig(checks_health=False)),
        channel_options(ChannelConfig(), for_feeds=True),
    ):
        assert "healthCheckConfig" not in json.loads(str(dict(plain)["grpc.service_config"]))


def test_options_of_the_caller_win() -> None:
    options = channel_options(ChannelConfig(options=(("grpc.keepalive_time_ms", 1),)))
    assert options[-1] == ("grpc.keepalive_time_ms", 1)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("127.0.0.1:7070", True),
        ("localhost:7070", True),
        ("dns:///localhost:7070", True),
        ("ipv4:127.0.0.1:7070", True),
        ("[::1]:7070", True),
        ("::1", True),
        ("unix:/run/interlace.sock", True),
        ("interlace.example:7070", False),
        ("10.0.0.1:7070", False),
        ("dns:///localhost.example:7070", False),
        ("127.0.0.1.example:7070", False),
        ("[2001:db8::1]:7070", False),
    ],
)
def test_what_is_on_this_machine_for_certain(target: str, expected: bool) -> None:
    assert is_local(target) is expected


async def test_an_api_key_does_not_cross_a_network_in_plain_text() -> None:
    key = ChannelConfig(api_key="sesame")
    with pytest.raises(ValueError, match="needs TLS"):
        open_channel("interlace.example:7070", key)
    trusted = ChannelConfig(api_key="sesame", is_network_trusted=True)
    await open_channel("interlace.example:7070", trusted).close()
    await open_channel("localhost:7070", key).close()
    await open_channel("interlace.example:7070", ChannelConfig(api_key="k", tls=Tls())).close()


def test_nothing_prints_the_secrets() -> None:
    config = ChannelConfig(api_key="sesame", tls=Tls(private_key=b"secret"))
    assert "sesame" not in repr(config)
    assert "secret" not in repr(config)
    assert caller_metadata(config) == (("authorization", "Bearer sesame"),)
    assert caller_metadata(ChannelConfig()) == ()


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    from rpc_rig import serving

    authority = Authority(tmp_path)
    certificate, key = authority.issue()
    own, own_key = authority.issue(is_server=False)
    files = TlsFiles(certificate, key, client_ca=authority.certificate)
    async with serving(tls=files) as rig:
        roots = authority.certificate.read_bytes()
        proven = Tls(
            roots=roots, private_key=own_key.read_bytes(), certificate_chain=own.read_bytes()
        )
        async with Client(f"127.0.0.1:{rig.port}", ChannelConfig(tls=proven)) as client:
            assert (await client.call("up", "Echo")).json() == {}
        for tls in (Tls(roots=roots), Tls()):
            async with Client(f"127.0.0.1:{rig.port}", ChannelConfig(tls=tls)) as client:
                with pytest.raises(Unavailable):
                    await client.call("up", "Echo", timeout=5)


async def test_the_services_certificate_must_have_the_name(tmp_path: Path) -> None:
    from rpc_rig import serving

    authority = Authority(tmp_path)
    certificate, key = authority.issue(host="10.1.2.3")
    roots = authority.certificate.read_bytes()
    async with serving(tls=TlsFiles(certificate, key)) as rig:
        target = f"127.0.0.1:{rig.port}"
        async with Client(target, ChannelConfig(tls=Tls(roots=roots))) as client:
            with pytest.raises(Unavailable):
                await client.call("up", "Echo", timeout=5)
        named = Tls(roots=roots, server_name="10.1.2.3")
        async with Client(target, ChannelConfig(tls=named)) as client:
            await client.call("up", "Echo")


async def test_the_service_takes_the_key_that_the_client_shows() -> None:
    from rpc_rig import serving

    async with serving(authenticate=require_api_key([Secret("sesame")])) as rig:
        target = f"127.0.0.1:{rig.port}"
        async with Client(target, ChannelConfig(api_key="sesame")) as client:
            await client.call("up", "Echo")
        async with Client(target, ChannelConfig(api_key="wrong")) as client:
            with pytest.raises(Unauthenticated) as raised:
                await client.call("up", "Echo")
    assert raised.value.code is grpc.StatusCode.UNAUTHENTICATED
