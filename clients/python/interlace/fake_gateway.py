"""The GatewayService of a fake server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from interlace.calls import duration
from interlace.fake_answers import Answers, Failed, effort, end_with
from interlace.streams import end_tasks
from interlace.v1 import call_pb2, outcome_pb2
from interlace.v1 import gateway_service_pb2 as pb

__all__ = ["FakeGateway"]


class FakeGateway:
    """Answers calls, fan-outs and sessions out of scripts."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._sessions: dict[asyncio.Task[Any], Failed] = {}
        self.in_flight = 256
        self.message_bytes = 4 * 1024 * 1024
        self.session_batches: list[int] = []
        self.metadata: list[dict[str, str]] = []

    def service(self) -> grpc.GenericRpcHandler:
        """Returns the service's handlers."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            "interlace.v1.GatewayService",
            {
                "Call": unary(self._call, pb.CallRequest.FromString, _write),
                "FanOut": unary(self._fan_out, pb.FanOutRequest.FromString, _write),
                "StreamFanOut": stream(self._stream, pb.StreamFanOutRequest.FromString, _write),
                "Session": grpc.stream_stream_rpc_method_handler(
                    self._session, pb.SessionRequest.FromString, _write
                ),
            },
        )
        return handler

    def end_sessions(self, failed: Failed) -> None:
        """Ends every open session with this."""
        for task in list(self._sessions):
            self._sessions[task] = failed
            task.cancel()

    def _note(self, context: Any) -> dict[str, str]:
        metadata = dict(context.invocation_metadata())
        self.metadata.append(metadata)
        return metadata

    async def _call(self, request: pb.CallRequest, context: Any) -> Any:
        metadata = self._note(context)

        async def serve() -> pb.CallResponse:
            if metadata.get("interlace-ledger") == "1":
                steps = outcome_pb2.Effort(ledger=[outcome_pb2.AttemptRecord(step="attempt")])
                context.set_trailing_metadata(
                    (("interlace-ledger-bin", steps.SerializeToString()),)
                )
            payload = await self._answers.perform(request.call)
            return pb.CallResponse(payload=payload, effort=effort())

        return await end_with(context, serve)

    async def _fan_out(self, request: pb.FanOutRequest, context: Any) -> Any:
        self._note(context)

        async def serve() -> pb.FanOutResponse:
            run = _FanOut(self._answers, request.branches, request.policy)
            async for _ in run.outcomes():
                pass
            run.check()
            return pb.FanOutResponse(outcomes=run.landed_in_order())

        return await end_with(context, serve)

    async def _stream(self, request: pb.StreamFanOutRequest, context: Any) -> None:
        self._note(context)

        async def serve() -> None:
            run = _FanOut(self._answers, request.branches, request.policy)
            async for outcome in run.outcomes():
                await context.write(pb.StreamFanOutResponse(outcome=outcome))
            await context.write(pb.StreamFanOutResponse(ledger=run.ledger()))
            run.check()

        await end_with(context, serve)

    async def _session(self, requests: Any, context: Any) -> None:
        del requests  # read with `context.read`: the two styles do not mix
        self._note(context)
        work = asyncio.ensure_future(_Session(self, self._answers, context).run())
        self._sessions[work] = Failed()

        async def serve() -> None:
            try:
                await asyncio.wait({work})
                if work.cancelled():
                    raise self._sessions[work]
                work.result()
            finally:
                await end_tasks(work)
                del self._sessions[work]

        await end_with(context, serve)


class _Session:
    """One session: a task per call, and replies that leave together if they are ready together."""

    def __init__(self, gateway: FakeGateway, answers: Answers, context: Any) -> None:
        self._gateway = gateway
        self._answers = answers
        self._context = context
        self._calls: dict[int, asyncio.Task[outcome_pb2.Outcome]] = {}
        self._ready: list[pb.SessionReply] = []
        self._news = asyncio.Event()
        self._is_over = False

    async def run(self) -> None:
        limits = pb.SessionLimits(
            in_flight=self._gateway.in_flight, message_bytes=self._gateway.message_bytes
        )
        await self._context.write(pb.SessionResponse(limits=limits))
        reader = asyncio.ensure_future(self._read())
        try:
            while not (self._is_over and not self._calls and not self._ready):
                await self._news.wait()
                self._news.clear()
                ready, self._ready = self._ready, []
                if ready:
                    await self._context.write(pb.SessionResponse(replies=ready))
        finally:
            await end_tasks(reader, *self._calls.values())

    async def _read(self) -> None:
        while (request := await self._context.read()) is not grpc.aio.EOF:
            self._gateway.session_batches.append(len(request.items))
            for item in request.items:
                self._take(item)
        self._is_over = True
        self._news.set()

    def _take(self, item: pb.SessionItem) -> None:
        if item.HasField("cancel"):
            if item.id in self._calls:
                self._calls[item.id].cancel()
            return
        task = asyncio.ensure_future(self._answers.outcome(item.call))
        self._calls[item.id] = task
        task.add_done_callback(lambda done: self._land(item.id, done))

    def _land(self, number: int, task: asyncio.Task[outcome_pb2.Outcome]) -> None:
        del self._calls[number]
        outcome = _cancelled("") if task.cancelled() else task.result()
        self._ready.append(pb.SessionReply(id=number, outcome=outcome))
        self._news.set()


class _FanOut:
    """One fan-out. Timeouts are the test's own business: an answer may sleep."""

    def __init__(
        self, answers: Answers, branches: Sequence[pb.Branch], policy: pb.CompletionPolicy
    ) -> None:
        self._answers = answers
        self._branches = branches
        self._policy = policy
        self._tasks: dict[str, asyncio.Task[outcome_pb2.Outcome]] = {}
        self._landed: dict[str, outcome_pb2.Outcome] = {}

    async def outcomes(self) -> AsyncIterator[outcome_pb2.Outcome]:
        """Yields outcomes as they land, and those of branches that nobody needs any more."""
        for branch in self._branches:
            self._tasks[branch.name] = asyncio.ensure_future(self._perform(branch))
        try:
            for landing in asyncio.as_completed(list(self._tasks.values())):
                outcome = await landing
                self._landed[outcome.branch] = outcome
                yield outcome
                if self._is_met() is not None:
                    break
        finally:
            await end_tasks(*self._tasks.values())
        for branch in self._branches:
            if branch.name not in self._landed:
                self._landed[branch.name] = _cancelled(branch.name)
                yield self._landed[branch.name]

    async def _perform(self, branch: pb.Branch) -> outcome_pb2.Outcome:
        call = call_pb2.Call()
        call.CopyFrom(branch.call)
        for source in branch.arguments_from:
            outcome = await asyncio.shield(self._tasks[source.branch])
            if outcome.HasField("status"):
                failed = Failed("DEPENDENCY_FAILED", "a branch that this one needs failed")
                return outcome_pb2.Outcome(branch=branch.name, status=failed.status())
            value = _point(json.loads(outcome.payload.data), source.pointer)
            call.parameters.add(name=source.parameter, string_value=str(value))
        return await self._answers.outcome(call, branch.name)

    def _is_met(self) -> bool | None:
        """Whether the policy is met, or None while that is open."""
        good = {name for name, it in self._landed.items() if it.HasField("payload")}
        bad = self._landed.keys() - good
        open_ = len(self._branches) - len(self._landed)
        required = {branch.name for branch in self._branches if branch.required}
        rule = self._policy.WhichOneof("rule") or "all"
        needed = {
            "all": len(self._branches),
            "quorum": self._policy.quorum.count,
            "first_ok": 1,
            "best_effort": 0,
        }[rule]
        if required & bad or len(good) + open_ < needed:
            return False
        if rule == "best_effort" and open_:
            return None
        return True if len(good) >= needed and required <= good else None

    def check(self) -> None:
        """Raises Failed POLICY_NOT_MET, with the ledger."""
        if not self._is_met():
            failed = Failed("POLICY_NOT_MET", "too few branches succeeded for the policy")
            failed.ledger = self.ledger()
            raise failed

    def ledger(self) -> pb.FanOutLedger:
        """What became of each branch."""
        entries = (
            pb.LedgerEntry(
                branch=it.branch, code=it.status.code, attempts=1, latency=duration(0.001)
            )
            for it in self.landed_in_order()
        )
        return pb.FanOutLedger(policy_met=bool(self._is_met()), entries=entries)

    def landed_in_order(self) -> list[outcome_pb2.Outcome]:
        """The outcomes in the order of the branches."""
        return [self._landed[branch.name] for branch in self._branches]


def _cancelled(branch: str) -> outcome_pb2.Outcome:
    failed = Failed("CALLER_CANCELLED", "it was cancelled")
    return outcome_pb2.Outcome(branch=branch, status=failed.status())


def _point(value: Any, pointer: str) -> Any:
    """Follows a JSON Pointer."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _write(message: Any) -> bytes:
    data: bytes = message.SerializeToString() if message is not None else b""
    return data
