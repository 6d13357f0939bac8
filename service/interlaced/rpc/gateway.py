"""GatewayService: ask one upstream, many at once, or many over one stream."""

from __future__ import annotations

from typing import TypeVar

import grpc
from google.protobuf.message import Message

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.branches import Plan
from interlaced.core.dispatch import Dispatch
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.fanout import Decision, Extract, FanOut, Outcome
from interlaced.core.model import Call
from interlaced.core.ports import Clock
from interlaced.rpc.extract import extract as extract_json
from interlaced.rpc.fitting import check_reply
from interlaced.rpc.guard import Guard, Scope, StatusFailure
from interlaced.rpc.mapping import (
    Fields,
    effort_message,
    ledger_message,
    read_branches,
    read_call,
    read_policy,
    read_seconds,
)
from interlaced.rpc.perform import Performer
from interlaced.rpc.session import Sessions
from interlaced.rpc.trace import trace
from interlaced.rpc.wire import call_response, fan_out_outcome, fan_out_response

__all__ = ["Gateway"]

SERVICE = "interlace.v1.GatewayService"

FanOutT = TypeVar("FanOutT", pb.FanOutRequest, pb.StreamFanOutRequest)


class Gateway:
    """Serves GatewayService over a Dispatch."""

    def __init__(
        self, *, guard: Guard, dispatch: Dispatch, clock: Clock, extract: Extract = extract_json
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._extract = extract
        self._limit = guard.settings.max_message
        self._perform = dispatch.call
        self._perform_branch = Performer(dispatch.call, dispatch.begin, self._limit)
        self.sessions = Sessions(guard, dispatch, clock)

    def service(self) -> grpc.GenericRpcHandler:
        """Returns the service's handlers."""
        guard = self._guard
        handlers = {
            "Call": guard.unary(f"{SERVICE}/Call", pb.CallRequest, self.call),
            "FanOut": guard.unary(f"{SERVICE}/FanOut", pb.FanOutRequest, self.fan_out),
            "StreamFanOut": guard.server_stream(
                f"{SERVICE}/StreamFanOut", pb.StreamFanOutRequest, self.stream_fan_out
            ),
            "Session": guard.bidi(f"{SERVICE}/Session", pb.SessionRequest, self.sessions.serve),
        }
        return guard.service(SERVICE, handlers)

    async def call(self, request: pb.CallRequest, scope: Scope[pb.CallRequest]) -> bytes:
        """Performs one call."""
        call = read_call(
            request.call,
            "call",
            deadline=scope.deadline,
            now=scope.started,
            wants_ledger=scope.wants_ledger,
        )
        if call.metadata:
            trace(call)
        try:
            reply = await self._perform(call)
        finally:
            if call.effort.ledger is not None:
                self._trail(call, scope)
        encoded = call_response(reply.payload, call.effort, self._clock.now())
        if len(encoded) > self._limit:
            check_reply(len(encoded), self._limit, call)
        return encoded

    def _trail(self, call: Call, scope: Scope[pb.CallRequest]) -> None:
        """Puts the attempt records into the trailers, where a failed call has them as well."""
        effort = effort_message(call.effort, ended=self._clock.now(), has_reply=False)
        scope.trailers.append(("interlace-ledger-bin", effort.SerializeToString()))

    async def fan_out(self, request: pb.FanOutRequest, scope: Scope[pb.FanOutRequest]) -> bytes:
        """Performs many calls and answers once the policy is met."""
        async with self._begin(request, scope) as fan_out:
            outcomes = await fan_out.finish()
        _check_met(fan_out)
        return fan_out_response(outcomes)

    async def stream_fan_out(
        self, request: pb.StreamFanOutRequest, scope: Scope[pb.StreamFanOutRequest]
    ) -> None:
        """Yields outcomes as they land, then the ledger, then the status."""
        async with self._begin(request, scope) as fan_out:
            while (outcome := await fan_out.next()) is not None:
                await scope.write(fan_out_outcome(outcome))
        ledger = ledger_message(fan_out.outcomes, fan_out.decision or Decision.NOT_MET)
        await scope.write(pb.StreamFanOutResponse(ledger=ledger).SerializeToString())
        _check_met(fan_out)

    def _begin(self, request: FanOutT, scope: Scope[FanOutT]) -> FanOut:
        """Reads a fan-out; raises Failure INVALID_REQUEST before anything runs."""
        fields = Fields()
        timeout = read_seconds(request, "timeout", "timeout", fields)
        fields.check()
        branches = read_branches(
            request.branches,
            now=scope.started,
            most=self._guard.settings.max_branches,
            wants_ledger=scope.wants_ledger,
        )
        return FanOut(
            Plan(branches, read_policy(request.policy)),
            clock=self._clock,
            call=self._perform_branch,
            begin_for=self._perform_branch.begin_for,
            extract=self._extract,
            deadline=min(scope.deadline, scope.started + timeout),
        )


def _has_reached(outcome: Outcome) -> bool:
    """Whether the branch's upstream can have acted."""
    result = outcome.result
    return not isinstance(result, Failure) or result.reached is not Reached.NOT_SENT


def _check_met(fan_out: FanOut) -> None:
    """Raises Failure POLICY_NOT_MET with the ledger, unless the policy was met."""
    decision = fan_out.decision or Decision.NOT_MET
    if decision is Decision.MET:
        return
    by = "deadline" if decision is Decision.OUT_OF_TIME else "outcomes"
    failure = StatusFailure(
        Reason.POLICY_NOT_MET,
        "too few branches succeeded for the policy",
        # Each branch has its own truth in the ledger; together they may have done something.
        reached=Reached.MAYBE if any(map(_has_reached, fan_out.outcomes)) else Reached.NOT_SENT,
        decided_by=by,
        attempts=str(sum(outcome.effort.attempts for outcome in fan_out.outcomes)),
    )
    details: list[Message] = [ledger_message(fan_out.outcomes, decision, is_cut=True)]
    failure.details = tuple(details)
    raise failure
