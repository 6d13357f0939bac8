"""What the ask side of every connector kind must do, clause by clause; inherit it and give a rig.

A rig holds a connector of the kind under test and the far side that it talks to. Clauses that need
something a kind cannot have (a network, statuses) select themselves by what the rig says it `can`.
"""

# ruff: noqa: S101  # a suite asserts

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol

from interlaced.core.failure import Disposition, Failure, Kind, Reached, Reason
from interlaced.core.model import Argument, Call, Effect, Effort, Payload, Reply
from interlaced.core.ports import Connector

__all__ = ["AskRig", "ConnectorSuite"]

PLAIN = b'{"name": "caf\xc3\xa9",  "id": 12345678901234567890, "price": 1.10}'
"""A body that is not what any encoder would write: only bytes that pass untouched stay equal."""


class AskRig(Protocol):
    """A connector with one operation of each sort, and its far side under a script."""

    connector: Connector
    """The connector; the rig closes it."""
    name: str
    """What the connector is called."""
    safe: str
    """The name of a safe operation."""
    unsafe: str
    """The name of an unsafe operation that takes a payload; empty if the kind has none."""
    arguments: Mapping[str, Argument]
    """Good parameters for both operations."""
    required: str
    """The name of a required parameter among them."""
    secret: str
    """The connector's credential as it was configured; empty if the kind has none."""
    can: frozenset[str]
    """Among `network` (refuse, reset, hang), `statuses` (status) and `garbage` (garbage)."""

    @property
    def hits(self) -> int:
        """How many requests the far side has seen."""
        ...

    @property
    def busy(self) -> int:
        """How many requests the far side is working on now."""
        ...

    def answer(self, media_type: str, data: bytes) -> None:
        """Answers from now on with this body."""
        ...

    def status(self, status: int, headers: Mapping[str, str]) -> None:
        """Answers from now on with this status of HTTP, as far as the kind knows statuses."""
        ...

    def garbage(self) -> None:
        """Answers from now on with success and a body that is not what was promised."""
        ...

    def reset(self) -> None:
        """Resets the connection from now on once the request is there."""
        ...

    def hang(self) -> None:
        """Takes requests from now on and answers nothing."""
        ...

    async def refuse(self) -> None:
        """Refuses connections from now on, and drops those that are open."""
        ...

    async def until_busy(self) -> None:
        """Waits until the far side has a request that it does not answer."""
        ...

    async def until_idle(self) -> None:
        """Waits until the far side knows that nobody waits for it any more."""
        ...


STATUSES: Mapping[int, tuple[Reason, Disposition, Reached]] = {
    400: (Reason.UPSTREAM_REJECTED, Disposition.PERMANENT, Reached.REPLIED),
    401: (Reason.UPSTREAM_CREDENTIALS_REJECTED, Disposition.PERMANENT, Reached.REPLIED),
    403: (Reason.UPSTREAM_CREDENTIALS_REJECTED, Disposition.PERMANENT, Reached.REPLIED),
    404: (Reason.UPSTREAM_NOT_FOUND, Disposition.PERMANENT, Reached.REPLIED),
    405: (Reason.CONTRACT_DRIFT, Disposition.PERMANENT, Reached.REPLIED),
    406: (Reason.CONTRACT_DRIFT, Disposition.PERMANENT, Reached.REPLIED),
    408: (Reason.UPSTREAM_UNAVAILABLE, Disposition.TEMPORARY, Reached.MAYBE),
    409: (Reason.UPSTREAM_CONFLICT, Disposition.PERMANENT, Reached.REPLIED),
    410: (Reason.UPSTREAM_NOT_FOUND, Disposition.PERMANENT, Reached.REPLIED),
    412: (Reason.UPSTREAM_PRECONDITION, Disposition.PERMANENT, Reached.REPLIED),
    413: (Reason.UPSTREAM_REJECTED, Disposition.PERMANENT, Reached.REPLIED),
    415: (Reason.CONTRACT_DRIFT, Disposition.PERMANENT, Reached.REPLIED),
    418: (Reason.UPSTREAM_REJECTED, Disposition.PERMANENT, Reached.REPLIED),
    422: (Reason.UPSTREAM_REJECTED, Disposition.PERMANENT, Reached.REPLIED),
    425: (Reason.UPSTREAM_UNAVAILABLE, Disposition.TEMPORARY, Reached.REPLIED),
    428: (Reason.UPSTREAM_PRECONDITION, Disposition.PERMANENT, Reached.REPLIED),
    429: (Reason.UPSTREAM_RATE_LIMITED, Disposition.TEMPORARY, Reached.REPLIED),
    500: (Reason.UPSTREAM_FAILED, Disposition.PERMANENT, Reached.REPLIED),
    501: (Reason.UPSTREAM_UNSUPPORTED, Disposition.PERMANENT, Reached.REPLIED),
    502: (Reason.UPSTREAM_UNAVAILABLE, Disposition.TEMPORARY, Reached.MAYBE),
    503: (Reason.UPSTREAM_UNAVAILABLE, Disposition.TEMPORARY, Reached.MAYBE),
    504: (Reason.UPSTREAM_UNAVAILABLE, Disposition.TEMPORARY, Reached.MAYBE),
    507: (Reason.UPSTREAM_FAILED, Disposition.PERMANENT, Reached.REPLIED),
}
"""API.md section 6, and what had been reached."""


class ConnectorSuite:
    """The clauses of the ask side."""

    hang: ClassVar[float] = 10.0
    """No clause takes longer than this, in seconds: a limit on hanging, not a measurement."""

    def rig(self) -> AbstractAsyncContextManager[AskRig]:
        """Builds a rig whose connector is open."""
        raise TypeError("a suite needs a rig: override rig()")

    async def ask(
        self,
        rig: AskRig,
        operation: str = "",
        *,
        arguments: Mapping[str, Argument] | None = None,
        payload: Payload | None = None,
        accept: tuple[str, ...] = (),
        effort: Effort | None = None,
    ) -> Reply:
        """Makes one attempt of an operation, past every policy."""
        operation = operation or rig.safe
        call = Call(
            deadline=float("inf"),
            effort=effort or Effort(0.0),
            connector=rig.name,
            operation=operation,
            parameters=rig.arguments if arguments is None else arguments,
            payload=payload,
            accept=accept,
        )
        async with asyncio.timeout(self.hang):
            return await rig.connector.operations[operation].attempt(call)

    async def refused(self, rig: AskRig, operation: str = "", **options: object) -> Failure:
        """Makes one attempt and returns the Failure that must come of it."""
        try:
            await self.ask(rig, operation, **options)  # type: ignore[arg-type]  # ask's own
        except Failure as failure:
            return failure
        raise AssertionError("answered instead of a Failure")

    async def test_a_reply_passes_byte_for_byte(self) -> None:
        """The upstream's own bytes and media type, where they are accepted: P12, P33."""
        async with self.rig() as rig:
            rig.answer("application/json", PLAIN)
            for accept in ((), ("application/json",), ("text/csv", "*/*")):
                reply = await self.ask(rig, accept=accept)
                assert reply.payload == Payload("application/json", PLAIN)

    async def test_operations_are_what_they_say(self) -> None:
        """Keys equal names, effects are declared, parameters are listed."""
        async with self.rig() as rig:
            for name, operation in rig.connector.operations.items():
                assert operation.name == name
            assert rig.connector.operations[rig.safe].effect is Effect.SAFE
            listed = {each.name: each for each in rig.connector.operations[rig.safe].parameters}
            assert listed[rig.required].is_required
            if rig.unsafe:
                assert rig.connector.operations[rig.unsafe].effect is Effect.UNSAFE

    async def test_a_missing_parameter_never_reaches_the_upstream(self) -> None:
        """INVALID_REQUEST names it."""
        async with self.rig() as rig:
            rest = {name: value for name, value in rig.arguments.items() if name != rig.required}
            failure = await self.refused(rig, arguments=rest)
            assert failure.reason is Reason.INVALID_REQUEST
            assert failure.reached is Reached.NOT_SENT
            assert [each.field for each in failure.fields] == [f"parameters[{rig.required}]"]
            assert rig.hits == 0

    async def test_an_unknown_parameter_never_reaches_the_upstream(self) -> None:
        """INVALID_REQUEST names it, unless its name is no name: that is not repeated."""
        async with self.rig() as rig:
            for name, place in (("nosuch", "parameters[nosuch]"), ("a\r\nb", "parameters")):
                failure = await self.refused(rig, arguments={**rig.arguments, name: "x"})
                assert failure.reason is Reason.INVALID_REQUEST
                assert [each.field for each in failure.fields] == [place]
            assert rig.hits == 0

    async def test_a_parameter_of_a_wrong_type_never_reaches_the_upstream(self) -> None:
        """INVALID_REQUEST names it, and does not repeat its value."""
        async with self.rig() as rig:
            wrong = {**rig.arguments, rig.required: ("canary-value",)}
            failure = await self.refused(rig, arguments=wrong)
            assert failure.reason is Reason.INVALID_REQUEST
            assert [each.field for each in failure.fields] == [f"parameters[{rig.required}]"]
            assert "canary-value" not in repr(failure) + failure.fields[0].description
            assert rig.hits == 0

    async def test_a_media_type_that_cannot_be_had_never_reaches_the_upstream(self) -> None:
        """UNACCEPTABLE_MEDIA_TYPE, before anything is sent."""
        async with self.rig() as rig:
            failure = await self.refused(rig, accept=("text/csv",))
            assert failure.reason is Reason.UNACCEPTABLE_MEDIA_TYPE
            assert rig.hits == 0

    async def test_one_attempt_is_one_request(self) -> None:
        """P1: whatever the answer, nobody but the retry policy sends twice."""
        async with self.rig() as rig:
            await self.ask(rig)
            assert rig.hits == 1
            if "statuses" in rig.can:
                rig.status(503, {"Retry-After": "0"})
                await self.refused(rig)
                assert rig.hits == 2
            if "network" in rig.can:
                rig.reset()
                await self.refused(rig)
                assert rig.hits == 3

    async def test_the_status_table_is_kept(self) -> None:
        """API.md section 6: reason, disposition and how far it got, status by status."""
        async with self.rig() as rig:
            if "statuses" not in rig.can:
                return
            for status, expected in STATUSES.items():
                rig.status(status, {})
                failure = await self.refused(rig)
                assert (failure.reason, failure.disposition, failure.reached) == expected, status
                assert failure.context["upstream_status"] == str(status)

    async def test_a_wait_that_the_upstream_asks_for_is_passed_on(self) -> None:
        """F8: `Retry-After` of 429 and 503, in seconds."""
        async with self.rig() as rig:
            if "statuses" not in rig.can:
                return
            for status in (429, 503):
                rig.status(status, {"Retry-After": "17"})
                assert (await self.refused(rig)).retry_after == 17.0

    async def test_garbage_is_malformed(self) -> None:
        """F12, F13: a good status with a bad body; the place is named, the content is not."""
        async with self.rig() as rig:
            if "garbage" not in rig.can:
                return
            rig.garbage()
            failure = await self.refused(rig)
            assert failure.reason is Reason.UPSTREAM_MALFORMED
            assert failure.reached is Reached.MAYBE
            assert failure.context["place"]
            assert "login" not in (repr(failure) + repr(failure.context)).lower()

    async def test_it_opens_while_the_upstream_is_away(self) -> None:
        """And serves as soon as it is asked."""
        async with self.rig() as rig:
            if "network" not in rig.can:
                return
            await rig.refuse()
            await rig.connector.open()
            failure = await self.refused(rig)
            assert failure.reason is Reason.UPSTREAM_CONNECT
            assert failure.kind is Kind.UNAVAILABLE
            assert failure.disposition is Disposition.TEMPORARY
            assert failure.reached is Reached.NOT_SENT

    async def test_a_reset_after_the_request_may_have_been_acted_on(self) -> None:
        """F4: nobody can know, and the effort says the same as the failure."""
        async with self.rig() as rig:
            if "network" not in rig.can:
                return
            rig.reset()
            effort = Effort(0.0)
            failure = await self.refused(rig, effort=effort)
            assert failure.reason is Reason.UPSTREAM_UNAVAILABLE
            assert (failure.reached, effort.reached) == (Reached.MAYBE, Reached.MAYBE)

    async def test_an_answer_says_that_the_upstream_replied(self) -> None:
        """The effort is REPLIED after an answer, good or bad."""
        async with self.rig() as rig:
            effort = Effort(0.0)
            await self.ask(rig, effort=effort)
            assert effort.reached is Reached.REPLIED

    async def test_a_cancel_stops_the_upstream_request_and_leaks_nothing(self) -> None:
        """F26: no task is left, and the far side knows."""
        async with self.rig() as rig:
            if "network" not in rig.can:
                return
            await self.ask(rig)
            rig.hang()
            before = asyncio.all_tasks()
            task = asyncio.create_task(self.ask(rig))
            async with asyncio.timeout(self.hang):
                await rig.until_busy()
                task.cancel()
                await asyncio.wait({task})
                assert task.cancelled()
                await rig.until_idle()
            assert rig.busy == 0
            assert not {left for left in asyncio.all_tasks() - before if not left.done()}

    async def test_closing_twice_does_nothing(self) -> None:
        """And a closed connector sends nothing."""
        async with self.rig() as rig:
            await self.ask(rig)
            await rig.connector.close()
            await rig.connector.close()
            if "network" in rig.can:
                failure = await self.refused(rig)
                assert failure.reached is Reached.NOT_SENT
                assert rig.hits == 1

    async def test_no_secret_is_shown(self) -> None:
        """P49: neither by the connector nor by any failure or its causes."""
        async with self.rig() as rig:
            if not rig.secret:
                return
            shown = [repr(rig.connector), repr(dict(rig.connector.operations))]
            if "network" in rig.can:
                rig.reset()
                shown += _told(await self.refused(rig))
            if "garbage" in rig.can:
                rig.garbage()
                shown += _told(await self.refused(rig))
            if "network" in rig.can:
                await rig.refuse()
                shown += _told(await self.refused(rig))
            assert not [text for text in shown if rig.secret in text]

    async def test_two_callers_at_once_get_each_their_own(self) -> None:
        """A hundred calls in flight, and nothing is shared but the connections."""
        async with self.rig() as rig:
            rig.answer("application/json", PLAIN)
            asked = [Effort(0.0) for _ in range(100)]
            replies = await asyncio.gather(*(self.ask(rig, effort=effort) for effort in asked))
            assert {reply.payload.data for reply in replies} == {PLAIN}
            assert rig.hits == 100
            assert {effort.reached for effort in asked} == {Reached.REPLIED}


def _told(failure: Failure) -> list[str]:
    """Collects whatever a log could print of a failure and of what it came from."""
    texts: list[str] = []
    error: BaseException | None = failure
    for _ in range(10):
        if error is None:
            break
        texts += [repr(error), str(error), repr(getattr(error, "context", ""))]
        error = error.__cause__
    return texts
