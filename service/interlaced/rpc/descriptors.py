"""The descriptors of everything served: the stock packages lack health's List and reflection v1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from interlace.v1 import (
    catalog_service_pb2,
    error_reason_pb2,
    feed_service_pb2,
    gateway_service_pb2,
)

__all__ = ["SERVICES", "Pool", "serving_pool"]

Pool: TypeAlias = Any
"""A protobuf DescriptorPool; the stubs leave its methods untyped."""

SERVICES = (
    "interlace.v1.GatewayService",
    "interlace.v1.FeedService",
    "interlace.v1.CatalogService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
"""The full names of the services that a server can describe."""

_FILES: tuple[FileDescriptor, ...] = (
    gateway_service_pb2.DESCRIPTOR,
    feed_service_pb2.DESCRIPTOR,
    catalog_service_pb2.DESCRIPTOR,
    error_reason_pb2.DESCRIPTOR,
    error_details_pb2.DESCRIPTOR,
    reflection_pb2.DESCRIPTOR,
)


def serving_pool() -> Pool:
    """Builds a pool of its own with every file that the served methods and their errors need."""
    pool: Pool = DescriptorPool()
    seen: set[str] = set()
    for file in _FILES:
        _add(pool, file, seen)
    for proto in (_health(), _reflection_v1()):
        pool.AddSerializedFile(proto.SerializeToString())
    return pool


def _add(pool: Pool, file: FileDescriptor, seen: set[str]) -> None:
    """Adds a file behind everything that it imports."""
    if file.name in seen:
        return
    seen.add(file.name)
    dependencies: Iterable[FileDescriptor] = file.dependencies
    for dependency in dependencies:
        _add(pool, dependency, seen)
    pool.AddSerializedFile(file.serialized_pb)


def _health() -> FileDescriptorProto:
    """Adds List (gRFC A90) to the stock description of health checking."""
    proto = FileDescriptorProto()
    health_pb2.DESCRIPTOR.CopyToProto(proto)
    if any(method.name == "List" for method in proto.service[0].method):
        return proto
    proto.message_type.add(name="HealthListRequest")
    response = proto.message_type.add(name="HealthListResponse")
    package = ".grpc.health.v1"
    entry = response.nested_type.add(name="StatusesEntry")
    entry.options.map_entry = True
    _field(entry, "key", 1).type = FieldDescriptorProto.TYPE_STRING
    value = _field(entry, "value", 2)
    value.type = FieldDescriptorProto.TYPE_MESSAGE
    value.type_name = f"{package}.HealthCheckResponse"
    statuses = _field(response, "statuses", 1)
    statuses.label = FieldDescriptorProto.LABEL_REPEATED
    statuses.type = FieldDescriptorProto.TYPE_MESSAGE
    statuses.type_name = f"{package}.HealthListResponse.StatusesEntry"
    method = proto.service[0].method.add(name="List")
    method.input_type = f"{package}.HealthListRequest"
    method.output_type = f"{package}.HealthListResponse"
    return proto


def _field(message: descriptor_pb2.DescriptorProto, name: str, number: int) -> FieldDescriptorProto:
    return message.field.add(
        name=name, number=number, json_name=name, label=FieldDescriptorProto.LABEL_OPTIONAL
    )


def _reflection_v1() -> FileDescriptorProto:
    """Version 1 is version 1 alpha under its final name, message by message."""
    alpha = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = text_format.MessageToString(alpha)
    text = text.replace("grpc.reflection.v1alpha", "grpc.reflection.v1")
    final = text_format.Parse(text, FileDescriptorProto())
    final.name = "grpc/reflection/v1/reflection.proto"
    return final
