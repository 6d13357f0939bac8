"""One client's channels."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from interlace.channel import ChannelConfig
from interlace.connection import Connection
from interlace.errors import ClientClosed, DeadlineExceeded, Reached
from interlace.testing import FakeServer
from interlace.v1 import gateway_service_pb2 as pb


async def test_channels_are_made_when_they_are_used_and_kept() -> None:
    connection = Connection("127.0.0.1:1", ChannelConfig(), 30)
    assert connection._channels == {}
    assert connection.gateway is connection.gateway
    connection.catalog, connection.sinks  # noqa: B018  # that they are asked for is what is tested
    assert len(connection._channels) == 1
    connection.feeds  # noqa: B018  # as above
    assert len(connection._channels) == 2
    await connection.close()
    assert connection._channels == {}


def test_a_connection_can_be_made_where_no_loop_runs() -> None:
    connection = Connection("127.0.0.1:1", ChannelConfig(), 30)
    assert connection.deadline == 30
    assert connection._channels == {}


async def test_calls_that_are_over_are_not_kept(server: FakeServer) -> None:
    server.on("desk", "Hello", {})
    connection = Connection(server.target, ChannelConfig(), 30)
    request = pb.CallRequest()
    request.call.connector, request.call.operation = "desk", "Hello"
    for _ in range(10):
        await connection.ask(connection.gateway.Call, request, timeout=None)
    import gc

    gc.collect()
    assert len(connection._calls) <= 1
    await connection.close()


async def test_a_closed_connection_gives_no_stub() -> None:
    connection = Connection("127.0.0.1:1", ChannelConfig(), 30)
    await connection.close()
    with pytest.raises(ClientClosed):
        connection.gateway  # noqa: B018  # that it raises is what is tested


async def test_the_metadata_says_who_calls_and_whether_a_ledger_is_wanted() -> None:
    connection = Connection("127.0.0.1:1", ChannelConfig(api_key="k"), 30)
    assert connection.metadata() == (("authorization", "Bearer k"),)
    assert connection.metadata(ledger=True)[-1] == ("interlace-ledger", "1")


async def test_a_reply_that_the_deadline_cut_off_is_an_error_and_not_none() -> None:
    """Now and then gRPC gives OK and no message, when the deadline passes between the two."""

    class CutOff:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __await__(self) -> Generator[None, None, None]:
            yield from asyncio.sleep(0).__await__()

        async def trailing_metadata(self) -> tuple[()]:
            return ()

        def cancel(self) -> None: ...

    connection = Connection("127.0.0.1:1", ChannelConfig(), 30)
    with pytest.raises(DeadlineExceeded, match="cut the reply off") as cut:
        await connection.ask(CutOff, pb.CallRequest(), timeout=None)
    assert cut.value.is_from_network
    assert cut.value.reached is Reached.MAYBE
    await connection.close()
