"""What a fake server answers."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from interlace import Call, Client, InterlaceError, Payload, Unavailable
from interlace.fake_answers import Answers, Failed, end_with, read_call
from interlace.testing import FakeServer


async def test_answers_are_given_in_order_and_the_last_one_stays(
    server: FakeServer, client: Client
) -> None:
    server.on("shop", "Get", Failed("UPSTREAM_UNAVAILABLE"), {"n": 1}, {"n": 2})
    with pytest.raises(Unavailable):
        await client.call("shop", "Get")
    numbers = [(await client.call("shop", "Get")).json()["n"] for _ in range(4)]
    assert numbers == [1, 2, 2, 2]


async def test_an_answer_can_be_worked_out_from_the_call(
    server: FakeServer, client: Client
) -> None:
    async def later(call: Call) -> object:
        await asyncio.sleep(0)
        return Payload("text/plain", f"{call.parameters['id']}".encode())

    server.on("shop", "Get", later)
    assert (await client.call("shop", "Get", {"id": 7})).text() == "7"
    server.on("shop", "Get", lambda call: Failed("TOO_LARGE"))
    with pytest.raises(InterlaceError):
        await client.call("shop", "Get")


async def test_what_was_asked_is_kept_as_it_was_written(server: FakeServer, client: Client) -> None:
    server.on("shop", "Put", {})
    await client.call(
        "shop",
        "Put",
        {"id": 7, "tags": ["a"]},
        payload=Payload.from_json({"x": 1}),
        idempotency_key="k",
        accept=["application/json"],
    )
    (call,) = server.calls
    assert (call.connector, call.operation) == ("shop", "Put")
    assert call.parameters == {"id": 7, "tags": ["a"]}
    assert call.payload == Payload("application/json", b'{"x":1}')
    assert call.idempotency_key == "k"
    assert call.accept == ("application/json",)


def test_a_call_comes_back_as_it_went() -> None:
    call = Call("a", "b", {"t": True, "f": 0.5, "s": "x"}, timeout=1.5, metadata={"k": "v"})
    assert read_call(call.message()) == call


def test_a_failure_has_the_details_that_the_service_gives() -> None:
    failed = Failed("RATE_LIMITED", "slow down", retry_after=2, pushback=-1, limit="10")
    assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    kinds = [detail.type_url.rsplit(".", 1)[-1] for detail in failed.status().details]
    assert kinds == ["ErrorInfo", "RetryInfo"]
    trailers = dict(failed.trailers())
    assert trailers["grpc-retry-pushback-ms"] == "-1000"
    assert Failed().trailers() == []
    assert list(Failed().status().details) == []


def test_a_script_needs_an_answer() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Answers().put("a", "b", [])


def test_operations_are_listed_by_connector() -> None:
    answers = Answers()
    answers.put("b", "Two", [1])
    answers.put("a", "One", [1])
    answers.put("b", "One", [1])
    assert answers.operations() == {"a": ["One"], "b": ["One", "Two"]}


async def test_what_failed_ends_the_rpc() -> None:
    class Context:
        def __init__(self) -> None:
            self.told: list[object] = []

        def set_code(self, code: object) -> None:
            self.told.append(code)

        def set_details(self, details: object) -> None:
            self.told.append(details)

        def set_trailing_metadata(self, metadata: object) -> None:
            self.told.append(metadata)

    async def fail() -> None:
        raise Failed("", "gone")

    context = Context()
    assert await end_with(context, fail) is None
    assert context.told == [grpc.StatusCode.UNAVAILABLE, "gone", ()]
