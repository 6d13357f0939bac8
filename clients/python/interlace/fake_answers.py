"""What a fake server answers: values, failures, and whatever a function of the test's says."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
from google.rpc import error_details_pb2, status_pb2

from interlace.calls import Argument, Call, Payload, duration
from interlace.errors import CODES, FieldViolation
from interlace.v1 import call_pb2, gateway_service_pb2, outcome_pb2, payload_pb2

__all__ = [
    "Answer",
    "Answers",
    "Failed",
    "effort",
    "end_with",
    "read_call",
]

Answer: TypeAlias = Any
"""A Payload, a Failed, a value that becomes JSON, or a function (plain or async) that takes the
Call to one of these."""


class Failed(Exception):  # noqa: N818  # an answer that is no success, raised or handed over
    """A failure to answer with. An empty `reason` makes one of the network's: with no details.

    `retry_after` is in seconds; `pushback` in seconds too, negative for do not retry.
    """

    def __init__(
        self,
        reason: str = "",
        message: str = "it failed",
        *,
        code: grpc.StatusCode | None = None,
        retry_after: float | None = None,
        pushback: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(reason, message)
        self.code = code or CODES.get(reason, grpc.StatusCode.UNAVAILABLE)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.pushback = pushback
        self.metadata = metadata
        self.fields: Sequence[FieldViolation] = ()
        self.ledger: gateway_service_pb2.FanOutLedger | None = None

    def with_fields(self, **violations: str) -> Failed:
        """Names fields that are wrong, and why."""
        self.fields = tuple(itertools.starmap(FieldViolation, violations.items()))
        return self

    def status(self) -> status_pb2.Status:
        """Returns it as a `google.rpc.Status`, with the details that the service would give."""
        number: int = self.code.value[0]
        status = status_pb2.Status(code=number, message=self.message)
        if not self.reason:
            return status
        metadata = {"reached": "not_sent", "disposition": "permanent", "attempts": "0"}
        info = error_details_pb2.ErrorInfo(
            reason=self.reason, domain="interlace", metadata=metadata | self.metadata
        )
        for detail in (info, *self._hints()):
            status.details.add().Pack(detail)
        return status

    def _hints(self) -> list[Any]:
        hints: list[Any] = []
        if self.retry_after is not None:
            hints.append(error_details_pb2.RetryInfo(retry_delay=duration(self.retry_after)))
        if self.fields:
            request = error_details_pb2.BadRequest()
            for at in self.fields:
                request.field_violations.add(field=at.field, description=at.description)
            hints.append(request)
        if self.ledger is not None:
            hints.append(self.ledger)
        return hints

    def trailers(self) -> list[tuple[str, str | bytes]]:
        """Returns the trailing metadata of an RPC that ends with it."""
        trailers: list[tuple[str, str | bytes]] = []
        if self.reason:
            trailers.append(("grpc-status-details-bin", self.status().SerializeToString()))
        if self.pushback is not None:
            trailers.append(("grpc-retry-pushback-ms", str(round(self.pushback * 1000))))
        return trailers


class Answers:
    """What each operation answers, in order; the last answer stays."""

    def __init__(self) -> None:
        self._scripts: dict[tuple[str, str], list[Answer]] = {}
        self.calls: list[Call] = []
        self.cancelled: list[Call] = []

    def put(self, connector: str, operation: str, answers: Sequence[Answer]) -> None:
        """Says what an operation answers from now on."""
        if not answers:
            raise ValueError("at least one answer is needed")
        self._scripts[connector, operation] = list(answers)

    def operations(self) -> Mapping[str, Sequence[str]]:
        """The operations that have answers, by connector."""
        names: dict[str, list[str]] = {}
        for connector, operation in sorted(self._scripts):
            names.setdefault(connector, []).append(operation)
        return names

    async def perform(self, message: call_pb2.Call) -> payload_pb2.Payload:
        """Answers one call; raises Failed."""
        call = read_call(message)
        self.calls.append(call)
        try:
            answer = await self._answer(call)
        except asyncio.CancelledError:
            self.cancelled.append(call)
            raise
        if isinstance(answer, Failed):
            raise answer
        payload = answer if isinstance(answer, Payload) else Payload.from_json(answer)
        return payload_pb2.Payload(media_type=payload.media_type, data=payload.data)

    async def outcome(self, message: call_pb2.Call, branch: str = "") -> outcome_pb2.Outcome:
        """Answers one call of many; a failure is an outcome as well."""
        try:
            payload = await self.perform(message)
        except Failed as failed:
            return outcome_pb2.Outcome(branch=branch, status=failed.status(), effort=effort())
        return outcome_pb2.Outcome(branch=branch, payload=payload, effort=effort())

    async def _answer(self, call: Call) -> Answer:
        name = f"{call.connector}.{call.operation}"
        script = self._scripts.get((call.connector, call.operation))
        if script is None:
            is_known = any(connector == call.connector for connector, _ in self._scripts)
            reason = "UNKNOWN_OPERATION" if is_known else "UNKNOWN_CONNECTOR"
            raise Failed(reason, f"the fake server has no answer for {name}")
        answer = script.pop(0) if len(script) > 1 else script[0]
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, Awaitable):
            answer = await answer
        return answer


def effort() -> outcome_pb2.Effort:
    """What every answer took: one attempt."""
    return outcome_pb2.Effort(
        latency=duration(0.001), attempts=1, source=outcome_pb2.REPLY_SOURCE_UPSTREAM
    )


def read_call(message: call_pb2.Call) -> Call:
    """Reads a call, as the client wrote it."""
    payload = message.payload
    return Call(
        connector=message.connector,
        operation=message.operation,
        parameters={parameter.name: _argument(parameter) for parameter in message.parameters},
        payload=Payload(payload.media_type, payload.data) if message.HasField("payload") else None,
        accept=tuple(message.accept),
        timeout=message.timeout.ToNanoseconds() / 1e9 if message.HasField("timeout") else None,
        idempotency_key=message.idempotency_key,
        metadata=dict(message.metadata),
    )


def _argument(parameter: call_pb2.Parameter) -> Argument:
    kind = parameter.WhichOneof("value")
    if kind == "list_value":
        return list(parameter.list_value.values)
    value: Argument = getattr(parameter, kind) if kind is not None else ""
    return value


async def end_with(context: Any, serve: Callable[[], Awaitable[Any]]) -> Any:
    """Serves an RPC and ends it with the status of what failed."""
    try:
        return await serve()
    except Failed as failed:
        context.set_code(failed.code)
        context.set_details(failed.message)
        context.set_trailing_metadata(tuple(failed.trailers()))
        return None
