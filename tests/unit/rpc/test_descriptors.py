from __future__ import annotations

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from interlaced.rpc.descriptors import SERVICES, serving_pool


def test_every_service_can_be_described() -> None:
    pool = serving_pool()
    for name in SERVICES:
        assert pool.FindServiceByName(name).methods
    assert pool.FindMessageTypeByName("google.rpc.ErrorInfo")


def test_health_has_list_and_the_rest_of_it_is_the_stock_one() -> None:
    service = serving_pool().FindServiceByName("grpc.health.v1.Health")
    assert {method.name for method in service.methods} == {"Check", "Watch", "List"}
    response = message_factory.GetMessageClass(service.methods_by_name["List"].output_type)()
    response.statuses["x"].status = 1
    assert response.SerializeToString() == b"\n\x07\n\x01x\x12\x02\x08\x01"
    ours, stock = FileDescriptorProto(), FileDescriptorProto()
    service.file.CopyToProto(ours)
    health_pb2.DESCRIPTOR.CopyToProto(stock)
    assert list(ours.message_type)[: len(stock.message_type)] == list(stock.message_type)


def test_reflection_1_is_1_alpha_on_the_wire() -> None:
    pool = serving_pool()
    request = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("grpc.reflection.v1.ServerReflectionRequest")
    )(file_containing_symbol="x")
    alpha = reflection_pb2.ServerReflectionRequest(file_containing_symbol="x")
    assert request.SerializeToString() == alpha.SerializeToString()
    assert "v1alpha" not in pool.FindServiceByName("grpc.reflection.v1.ServerReflection").file.name
