"""Reflection alone; tests/rpc/test_reflection.py proves it over the wire."""

from __future__ import annotations

import pytest
from grpc_reflection.v1alpha import reflection_pb2 as pb
from rpc_bench import a_guard, a_scope

from interlaced.rpc.reflection import Reflection


async def ask(**question: object) -> pb.ServerReflectionResponse:
    request = pb.ServerReflectionRequest(**question)
    scope, context = a_scope(pb.ServerReflectionRequest, [request.SerializeToString()])
    await Reflection(guard=a_guard(), services=["interlace.v1.FeedService"]).serve(scope)
    (data,) = context.written
    return pb.ServerReflectionResponse.FromString(data)


async def test_it_lists_only_what_it_can_describe() -> None:
    reflection = Reflection(guard=a_guard(), services=["interlace.v1.FeedService", "no.Service"])
    assert "interlace.v1.FeedService" in reflection.names
    assert "no.Service" not in reflection.names


@pytest.mark.parametrize(
    "symbol", ["interlace.v1.Event", "interlace.v1.FeedService", "interlace.v1.FeedService.Publish"]
)
async def test_a_symbol_comes_with_everything_it_needs(symbol: str) -> None:
    answer = await ask(file_containing_symbol=symbol)
    assert answer.file_descriptor_response.file_descriptor_proto
    assert answer.original_request.file_containing_symbol == symbol


async def test_extensions_are_answered() -> None:
    answer = await ask(all_extension_numbers_of_type="interlace.v1.Event")
    assert answer.all_extension_numbers_response.base_type_name == "interlace.v1.Event"
    wanted = pb.ExtensionRequest(containing_type="interlace.v1.Event", extension_number=1)
    assert (await ask(file_containing_extension=wanted)).error_response.error_code == 5


async def test_wrong_questions_are_errors_in_the_answer() -> None:
    assert (await ask(file_by_filename="x.proto")).error_response.error_code == 5
    assert (await ask()).error_response.error_code == 3
