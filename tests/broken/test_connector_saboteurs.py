"""Every clause of the connector suite has a twin that breaks it, and is caught."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from rest_rig import SECRET, RestRig, rest_rig

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Call, Effect, Effort, Payload, Reply
from interlaced.core.ports import Connector, Operation
from interlaced.testing.connector_suite import ConnectorSuite


class Honest:
    """Passes everything on; a saboteur breaks one thing."""

    def __init__(self, inner: Connector) -> None:
        self.inner = inner
        self.feeds = inner.feeds
        self.sinks = inner.sinks
        self.operations: Mapping[str, Operation] = {
            name: self.change(operation) for name, operation in inner.operations.items()
        }

    def change(self, operation: Operation) -> Operation:
        attempt = operation.attempt

        async def changed(call: Call) -> Reply:
            return await self.attempt(operation, call)

        return replace(operation, attempt=changed if attempt else attempt)

    async def attempt(self, operation: Operation, call: Call) -> Reply:
        return await operation.attempt(call)

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()


class Reformats(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        reply = await operation.attempt(call)
        data = reply.payload.data.replace(b"  ", b" ")
        return replace(reply, payload=Payload(reply.payload.media_type, data))


class Misnames(Honest):
    def change(self, operation: Operation) -> Operation:
        return replace(operation, effect=Effect.IDEMPOTENT)


class FillsIn(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        return await operation.attempt(replace(call, parameters={"id": "1", **call.parameters}))


class Overlooks(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        known = {name: value for name, value in call.parameters.items() if name == "id"}
        return await operation.attempt(replace(call, parameters=known))


class Stringifies(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        texts = {name: str(value) for name, value in call.parameters.items()}
        return await operation.attempt(replace(call, parameters=texts))


class Unheeding(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        return await operation.attempt(replace(call, accept=()))


class Retries(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        try:
            return await operation.attempt(call)
        except Failure:
            return await operation.attempt(call)


class Blurs(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        try:
            return await operation.attempt(call)
        except Failure as failure:
            reason, message = Reason.UPSTREAM_FAILED, failure.message
            raise Failure(reason, message, reached=failure.reached, **failure.context) from failure


class Trusts(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        try:
            return await operation.attempt(call)
        except Failure as failure:
            if failure.reason is not Reason.UPSTREAM_MALFORMED:
                raise
            return Reply(Payload("text/html", b""))


class ConnectsAtOpen(Honest):
    opened = 0

    async def open(self) -> None:
        call = Call(
            deadline=float("inf"),
            effort=Effort(0.0),
            connector="shop",
            operation="Get",
            parameters={"id": "1"},
        )
        await self.inner.operations["Get"].attempt(call)


class Belittles(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        try:
            return await operation.attempt(call)
        except Failure as failure:
            raise failure.but(reached=Reached.NOT_SENT) from failure


class Forgets(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        reply = await operation.attempt(call)
        call.effort.reached = Reached.NOT_SENT
        return reply


class OutlivesCancel(Honest):
    async def attempt(self, operation: Operation, call: Call) -> Reply:
        self.task = asyncio.ensure_future(super().attempt(operation, call))
        return await asyncio.shield(self.task)


class ClosesOnce(Honest):
    is_closed = False

    async def close(self) -> None:
        if self.is_closed:
            raise RuntimeError("closed already")
        self.is_closed = True
        await self.inner.close()


class Blabs(Honest):
    def __repr__(self) -> str:
        return f"Blabs({SECRET})"


class Confuses(Honest):
    task: asyncio.Future[Reply] | None = None

    async def attempt(self, operation: Operation, call: Call) -> Reply:
        self.task = self.task or asyncio.ensure_future(super().attempt(operation, call))
        return await self.task


TWINS: dict[str, type[Honest]] = {
    "test_a_reply_passes_byte_for_byte": Reformats,
    "test_operations_are_what_they_say": Misnames,
    "test_a_missing_parameter_never_reaches_the_upstream": FillsIn,
    "test_an_unknown_parameter_never_reaches_the_upstream": Overlooks,
    "test_a_parameter_of_a_wrong_type_never_reaches_the_upstream": Stringifies,
    "test_a_media_type_that_cannot_be_had_never_reaches_the_upstream": Unheeding,
    "test_one_attempt_is_one_request": Retries,
    "test_the_status_table_is_kept": Blurs,
    "test_a_wait_that_the_upstream_asks_for_is_passed_on": Blurs,
    "test_garbage_is_malformed": Trusts,
    "test_it_opens_while_the_upstream_is_away": ConnectsAtOpen,
    "test_a_reset_after_the_request_may_have_been_acted_on": Belittles,
    "test_an_answer_says_that_the_upstream_replied": Forgets,
    "test_a_cancel_stops_the_upstream_request_and_leaks_nothing": OutlivesCancel,
    "test_closing_twice_does_nothing": ClosesOnce,
    "test_no_secret_is_shown": Blabs,
    "test_two_callers_at_once_get_each_their_own": Confuses,
}


def test_every_clause_has_a_twin() -> None:
    assert {name for name in dir(ConnectorSuite) if name.startswith("test_")} == TWINS.keys()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_catches_its_twin(clause: str) -> None:
    class Broken(ConnectorSuite):
        hang = 1.0

        def rig(self) -> AbstractAsyncContextManager[RestRig]:
            return rest_rig(TWINS[clause])

    with pytest.raises((AssertionError, Failure, TimeoutError, RuntimeError)):
        await getattr(Broken(), clause)()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_passes_where_nothing_is_broken(clause: str) -> None:
    rigs: list[AbstractAsyncContextManager[RestRig]] = []

    class Whole(ConnectorSuite):
        def rig(self) -> AbstractAsyncContextManager[RestRig]:
            rigs.append(rest_rig(Honest))
            return rigs[-1]

    await getattr(Whole(), clause)()
    assert rigs, "a clause that looks at no connector proves nothing"
