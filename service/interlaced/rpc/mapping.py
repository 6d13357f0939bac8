"""Messages to core nouns and back: pure, one function per message.

The only exception is Failure INVALID_REQUEST, with the path of every field that is wrong. None of
its texts repeats what the caller sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from google.protobuf.duration_pb2 import Duration

from interlace.v1 import call_pb2, gateway_service_pb2, outcome_pb2, payload_pb2
from interlaced.core.branches import Branch, BranchArgument, CompletionPolicy, Rule
from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.fanout import Decision, Outcome
from interlaced.core.model import (
    Argument,
    Call,
    Effort,
    Payload,
    Reply,
    ReplySource,
    Step,
)
from interlaced.core.path import compile_pointer
from interlaced.rpc.status import code_of, to_status

__all__ = [
    "SOURCES",
    "Fields",
    "duration_message",
    "effort_message",
    "ledger_message",
    "outcome_message",
    "payload_message",
    "read_branches",
    "read_call",
    "read_policy",
    "read_seconds",
]

SOURCES: Mapping[ReplySource, outcome_pb2.ReplySource.ValueType] = {
    ReplySource.UPSTREAM: outcome_pb2.REPLY_SOURCE_UPSTREAM,
    ReplySource.CACHE: outcome_pb2.REPLY_SOURCE_CACHE,
    ReplySource.COALESCED: outcome_pb2.REPLY_SOURCE_COALESCED,
}
"""Where a reply came from, as the API says it."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_LONGEST_NAME = 64
_LONGEST_KEY = 255
_LONGEST_TYPE = 255
_LONGEST_TIMEOUT = 10_000 * 365.25 * 86_400
_LEDGER_BYTES = 4096
# Room for `entries_omitted`, and for the detail's own type and length.
_LEDGER_SPARE = 96


class Fields(list[FieldViolation]):
    """Collects what is wrong with a request's fields; nothing, most of the time."""

    __slots__ = ()

    def refuse(self, field: str, description: str) -> None:
        """Notes that a field breaks a rule."""
        self.append(FieldViolation(field, description))

    def check(self) -> None:
        """Raises Failure INVALID_REQUEST if anything is wrong."""
        if self:
            raise Failure(
                Reason.INVALID_REQUEST,
                "the request breaks a rule of its fields",
                fields=tuple(self),
            )


def read_call(
    message: call_pb2.Call, field: str, *, deadline: float, now: float, wants_ledger: bool
) -> Call:
    """Reads a Call that stands at `field` of its request; its deadline is a time of the Clock."""
    fields = Fields()
    call = _call(message, field, fields, Effort(now, ledger=[]) if wants_ledger else Effort(now))
    if message.HasField("timeout"):
        timeout = read_seconds(message, "timeout", f"{field}.timeout", fields)
        deadline = min(deadline, now + timeout)
    call.deadline = deadline
    if fields:
        fields.check()
    return call


def _call(message: call_pb2.Call, field: str, fields: Fields, effort: Effort) -> Call:
    """Reads what is there; names of fields are only made up for what is wrong."""
    # Set field by field: through its constructor, by keywords, it would take four times as long.
    call = Call.__new__(Call)
    call.deadline = math.inf
    call.effort = effort
    call.alarm = call.tried = None
    call.connector = message.connector
    call.operation = message.operation
    call.idempotency_key = key = message.idempotency_key
    if not call.connector:
        fields.refuse(f"{field}.connector", "must not be empty")
    if not call.operation:
        fields.refuse(f"{field}.operation", "must not be empty")
    if key:
        _check_key(key, f"{field}.idempotency_key", fields)
    parameters, accept, metadata = message.parameters, message.accept, message.metadata
    call.parameters = _parameters(parameters, field, fields) if parameters else {}
    call.payload = _payload(message, field, fields) if message.HasField("payload") else None
    call.accept = _accept(accept, field, fields) if accept else ()
    call.metadata = dict(metadata) if metadata else _NOTHING
    return call


def _parameters(
    messages: Sequence[call_pb2.Parameter], field: str, fields: Fields
) -> dict[str, Argument]:
    parameters: dict[str, Argument] = {}
    # A list is walked at a third of what protobuf's own container costs.
    for place, message in enumerate(messages[:]):
        name, which = message.name, message.WhichOneof("value")
        if which == "string_value" and name and name not in parameters:
            parameters[name] = message.string_value  # as nearly all are
            continue
        value = _argument(message, which)
        problem = _problem_of(name, value, parameters)
        if problem is None and value is not None:
            parameters[name] = value
        elif problem is not None:
            fields.refuse(f"{field}.parameters[{place}].{problem[0]}", problem[1])
    return parameters


def _problem_of(
    name: str, value: Argument | None, parameters: Mapping[str, Argument]
) -> tuple[str, str] | None:
    """Returns the field and the rule that a parameter breaks, or None."""
    if not name:
        return "name", "must not be empty"
    if name in parameters:
        return "name", "another parameter has this name"
    if value is None:
        return "value", "exactly one value must be set"
    if isinstance(value, float) and not math.isfinite(value):
        return "double_value", "must be a finite number"
    return None


def _argument(message: call_pb2.Parameter, which: str | None) -> Argument | None:
    if which is None:
        return None
    if which == "list_value":
        return tuple(message.list_value.values)
    value: Argument = getattr(message, which)
    return value


def _payload(message: call_pb2.Call, field: str, fields: Fields) -> Payload | None:
    payload = message.payload
    media_type, data = payload.media_type, payload.data
    if not media_type:
        if data:
            fields.refuse(f"{field}.payload.media_type", "must be set where data is")
        return None
    if not _is_media_type(media_type):
        wish = "must be a media type such as application/json"
        fields.refuse(f"{field}.payload.media_type", wish)
    return Payload(media_type, data)


def _accept(media_types: Sequence[str], field: str, fields: Fields) -> tuple[str, ...]:
    for place, media_type in enumerate(media_types):
        if not _is_media_type(media_type):
            wish = "must be a media type such as application/json"
            fields.refuse(f"{field}.accept[{place}]", wish)
    return tuple(media_types)


def _is_media_type(text: str) -> bool:
    """Whether it may become a header's value; line breaks would make further headers of it."""
    return (
        len(text) <= _LONGEST_TYPE and text.isascii() and text.isprintable() and "/" in text[1:-1]
    )


def _check_key(key: str, field: str, fields: Fields) -> None:
    if len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable():
        fields.refuse(field, f"must be at most {_LONGEST_KEY} printable ASCII characters")


def read_seconds(message: object, name: str, field: str, fields: Fields) -> float:
    """Reads a Duration that must be above zero, in seconds; infinite if it is absent."""
    if not message.HasField(name):  # type: ignore[attr-defined]  # every message has it
        return math.inf
    duration: Duration = getattr(message, name)
    seconds = duration.seconds + duration.nanos / 1e9
    is_mixed = (duration.seconds < 0 < duration.nanos) or (duration.nanos < 0 < duration.seconds)
    if is_mixed or abs(duration.nanos) > 999_999_999 or abs(seconds) > _LONGEST_TIMEOUT:
        fields.refuse(field, "must be a valid duration")
        return math.inf
    if seconds <= 0:
        fields.refuse(field, "must be above zero")
        return math.inf
    return seconds


def read_branches(
    messages: Sequence[gateway_service_pb2.Branch], *, now: float, most: int, wants_ledger: bool
) -> tuple[Branch, ...]:
    """Reads the legs of a fan-out; how they hang together is for the Plan to check."""
    fields = Fields()
    if not messages:
        fields.refuse("branches", "must hold at least one branch")
    if len(messages) > most:
        fields.refuse("branches", f"must hold at most {most} branches")
        messages = ()
    branches = [
        _branch(message, place, fields, Effort(now, ledger=[]) if wants_ledger else Effort(now))
        for place, message in enumerate(messages)
    ]
    fields.check()
    return tuple(branches)


def _branch(
    message: gateway_service_pb2.Branch, place: int, fields: Fields, effort: Effort
) -> Branch:
    name, inner, wanted = message.name, message.call, message.arguments_from
    if not 1 <= len(name) <= _LONGEST_NAME:
        fields.refuse(f"branches[{place}].name", f"must have from 1 to {_LONGEST_NAME} characters")
    # Set field by field, as a Call is.
    branch = Branch.__new__(Branch)
    branch.name = name
    call_field = f"branches[{place}].call"
    branch.call = _call(inner, call_field, fields, effort)
    branch.timeout = math.inf
    if inner.HasField("timeout"):
        branch.timeout = read_seconds(inner, "timeout", f"{call_field}.timeout", fields)
    branch.is_required = message.required
    branch.arguments_from = _branch_arguments(wanted, place, fields) if wanted else ()
    return branch


def _branch_arguments(
    messages: Sequence[gateway_service_pb2.BranchArgument], branch: int, fields: Fields
) -> tuple[BranchArgument, ...]:
    found = (
        _branch_argument(message, f"branches[{branch}].arguments_from[{place}]", fields)
        for place, message in enumerate(messages)
    )
    return tuple(argument for argument in found if argument is not None)


def _branch_argument(
    message: gateway_service_pb2.BranchArgument, field: str, fields: Fields
) -> BranchArgument | None:
    if not message.parameter:
        fields.refuse(f"{field}.parameter", "must not be empty")
    try:
        path = compile_pointer(message.pointer)
    except ValueError:
        fields.refuse(f"{field}.pointer", "must be a JSON Pointer such as /customer/id")
        return None
    return BranchArgument(message.branch, path, message.parameter)


def read_policy(message: gateway_service_pb2.CompletionPolicy) -> CompletionPolicy:
    """Reads a completion policy; none means ALL."""
    which = message.WhichOneof("rule")
    if which is None:
        return CompletionPolicy(Rule.ALL)
    rule = Rule(which)
    return CompletionPolicy(rule, message.quorum.count if rule is Rule.QUORUM else 0)


def payload_message(payload: Payload) -> payload_pb2.Payload:
    """Writes a payload."""
    return payload_pb2.Payload(media_type=payload.media_type, data=payload.data)


def duration_message(seconds: float) -> Duration:
    """Writes a time span, of zero at least."""
    nanos = max(0, round(seconds * 1e9))
    return Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)


def effort_message(
    effort: Effort, *, ended: float, has_reply: bool, with_ledger: bool = True
) -> outcome_pb2.Effort:
    """Writes what a call took; `ended` is a time of the Clock."""
    message = outcome_pb2.Effort(
        latency=duration_message(ended - effort.started), attempts=effort.attempts
    )
    if has_reply:
        message.source = SOURCES[effort.source]
    if with_ledger and effort.ledger is not None:
        message.ledger.extend(_step(step) for step in effort.ledger)
    return message


def _step(step: Step) -> outcome_pb2.AttemptRecord:
    return outcome_pb2.AttemptRecord(
        step=step.step,
        start=duration_message(step.start),
        duration=duration_message(step.duration),
        reason=step.reason,
        upstream_status=step.upstream_status,
        breaker=step.breaker,
        bytes_received=step.bytes_received,
    )


def outcome_message(outcome: Outcome) -> outcome_pb2.Outcome:
    """Writes what became of a branch or of a session's call."""
    result = outcome.result
    is_reply = isinstance(result, Reply)
    message = outcome_pb2.Outcome(
        branch=outcome.branch,
        effort=effort_message(outcome.effort, ended=outcome.ended, has_reply=is_reply),
    )
    if isinstance(result, Reply):
        message.payload.CopyFrom(payload_message(result.payload))
    else:
        message.status.CopyFrom(to_status(result))
    return message


def ledger_message(
    outcomes: Sequence[Outcome], decision: Decision, *, is_cut: bool = False
) -> gateway_service_pb2.FanOutLedger:
    """Writes what became of every branch, without payloads; `is_cut` keeps it below 4 KiB, since
    trailers share a limit with everything else in them."""
    ledger = gateway_service_pb2.FanOutLedger(policy_met=decision is Decision.MET)
    room = _LEDGER_BYTES - _LEDGER_SPARE
    for outcome in outcomes:
        entry = _ledger_entry(outcome)
        room -= entry.ByteSize() + 3
        if is_cut and room < 0:
            ledger.entries_omitted = len(outcomes) - len(ledger.entries)
            break
        ledger.entries.append(entry)
    return ledger


def _ledger_entry(outcome: Outcome) -> gateway_service_pb2.LedgerEntry:
    entry = gateway_service_pb2.LedgerEntry(
        branch=outcome.branch,
        attempts=outcome.effort.attempts,
        latency=duration_message(outcome.ended - outcome.effort.started),
    )
    if isinstance(outcome.result, Failure):
        entry.code = code_of(outcome.result).value[0]
        entry.reason = outcome.result.reason.value
    return entry
