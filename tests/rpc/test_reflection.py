"""Reflection over the wire, by the stock client and by hand."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from rpc_rig import GATEWAY, Rig, serving

VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


async def ask(
    rig: Rig, service: str, *requests: reflection_pb2.ServerReflectionRequest
) -> list[reflection_pb2.ServerReflectionResponse]:
    method = rig.channel.stream_stream(f"/{service}/ServerReflectionInfo")
    stream = method(iter([request.SerializeToString() for request in requests]))
    return [reflection_pb2.ServerReflectionResponse.FromString(answer) async for answer in stream]


async def test_both_versions_list_and_describe_what_is_served() -> None:
    async with serving() as rig:
        for version in VERSIONS:
            listed, found, missing = await ask(
                rig,
                version,
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol=GATEWAY),
                reflection_pb2.ServerReflectionRequest(file_by_filename="nothing.proto"),
            )
            names = [service.name for service in listed.list_services_response.service]
            assert names == sorted({GATEWAY, "grpc.health.v1.Health", *VERSIONS})
            assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
            files = DescriptorDatabase()
            for file in found.file_descriptor_response.file_descriptor_proto:
                files.Add(FileDescriptorProto.FromString(file))
            pool = DescriptorPool(files)
            service = pool.FindServiceByName(GATEWAY)
            assert [method.name for method in service.methods] == [
                "Call",
                "FanOut",
                "StreamFanOut",
                "Session",
            ]


async def test_every_listed_service_and_every_error_detail_can_be_described() -> None:
    async with serving() as rig:
        symbols = [*VERSIONS, "grpc.health.v1.Health.List", "google.rpc.ErrorInfo"]
        answers = await ask(
            rig,
            VERSIONS[0],
            *(
                reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
                for name in symbols
            ),
        )
        assert all(answer.HasField("file_descriptor_response") for answer in answers)


async def test_the_stock_client_reads_it() -> None:
    """Somebody else's software on the other side."""
    async with serving() as rig:

        def look() -> set[str]:
            with grpc.insecure_channel(f"127.0.0.1:{rig.port}") as channel:
                pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
                service = pool.FindServiceByName(GATEWAY)
                return {method.input_type.full_name for method in service.methods}

        assert "interlace.v1.CallRequest" in await asyncio.to_thread(look)
