"""Who may call: loopback, TLS, client certificates, API keys; and what a port tells."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
import pytest
from certificates import Authority
from served import served

from interlace import ChannelConfig, Client, InterlaceError, Tls, Unauthenticated
from interlaced.core.secret import Secret
from interlaced.settings import Ingress

MANIFEST = """
interlace: 1
connector: desk
upstream: {memory: desk}
operations: {Hello: {reply: {greeting: hello}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "connectors"
    place.mkdir()
    (place / "desk.yaml").write_text(MANIFEST)
    return place


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    place = tmp_path / "ours"
    place.mkdir()
    return Authority(place)


async def test_with_tls_a_caller_who_trusts_the_ca_is_served_and_plaintext_is_not(
    folder: Path, authority: Authority
) -> None:
    certificate, key = authority.issue()
    ingress = Ingress(port=0, certificate=certificate, private_key=key)
    async with served(folder, settings={"ingress": ingress}) as service:
        tls = ChannelConfig(tls=Tls(roots=authority.certificate.read_bytes()))
        async with Client(service.address, tls) as client:
            assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
        async with Client(service.address) as client:
            with pytest.raises(InterlaceError):
                await client.call("desk", "Hello", timeout=2)


async def test_with_a_client_ca_a_caller_needs_a_certificate_of_that_ca(
    folder: Path, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue()
    ingress = Ingress(
        port=0, certificate=certificate, private_key=key, client_ca=authority.certificate
    )
    stranger_folder = tmp_path / "theirs"
    stranger_folder.mkdir()
    ours = authority.issue(is_server=False)
    theirs = Authority(stranger_folder).issue(is_server=False)
    async with served(folder, settings={"ingress": ingress}) as service:
        async with Client(service.address, config(authority, *ours)) as client:
            assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
        for refused in (
            config(authority, *theirs),
            ChannelConfig(tls=Tls(roots=authority.certificate.read_bytes())),
        ):
            async with Client(service.address, refused) as client:
                with pytest.raises(InterlaceError):
                    await client.call("desk", "Hello", timeout=2)


def config(authority: Authority, certificate: Path, key: Path) -> ChannelConfig:
    chain, private = certificate.read_bytes(), key.read_bytes()
    return ChannelConfig(
        tls=Tls(
            roots=authority.certificate.read_bytes(), certificate_chain=chain, private_key=private
        )
    )


async def test_with_api_keys_a_caller_needs_one_of_them_and_health_does_not(folder: Path) -> None:
    ingress = Ingress(port=0, api_keys=(Secret("right-key"),))
    async with served(folder, settings={"ingress": ingress}) as service:
        async with Client(service.address, ChannelConfig(api_key="right-key")) as client:
            assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
        async with Client(service.address, ChannelConfig(api_key="wrong-key")) as client:
            with pytest.raises(Unauthenticated) as refused:
                await client.call("desk", "Hello")
            assert refused.value.reason == "CALLER_UNAUTHENTICATED"
        async with grpc.aio.insecure_channel(service.address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert await check(b"") == b"\x08\x01"


async def test_t33_reflection_is_off_unless_asked_for(folder: Path) -> None:
    async with (
        served(folder, settings={"has_reflection": False}) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        ask = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in ask(iter([b"\x3a\x00"])):
                pass
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
