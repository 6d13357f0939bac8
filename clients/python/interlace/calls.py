"""What can be asked, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict

from google.protobuf.duration_pb2 import Duration

from interlace.effort import Effort, read_effort
from interlace.errors import InterlaceError, error_from_status
from interlace.v1 import call_pb2, gateway_service_pb2, outcome_pb2, payload_pb2

__all__ = [
    "Argument",
    "ArgumentFrom",
    "Branch",
    "Call",
    "CallOptions",
    "CallResult",
    "Outcome",
    "Payload",
    "Policy",
    "duration",
    "read_outcome",
    "read_payload",
]

Argument: TypeAlias = str | bool | int | float | Sequence[str]
"""The value of a parameter."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A body: bytes with their media type."""

    media_type: str
    data: bytes

    @classmethod
    def from_json(cls, value: object) -> Payload:
        """Encodes a value as JSON; raises TypeError or ValueError for what JSON cannot hold."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return cls("application/json", text.encode())


class CallOptions(TypedDict, total=False):
    """What a call may say beside its parameters. `timeout` is in seconds, `accept` lists media
    types in order of preference, and `idempotency_key` makes an unsafe operation safe to repeat
    where its connector declares the header for it."""

    payload: Payload | None
    accept: Sequence[str]
    timeout: float | None
    idempotency_key: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of one connector; `timeout` is in seconds."""

    connector: str
    operation: str
    parameters: Mapping[str, Argument] = field(default_factory=dict)
    payload: Payload | None = None
    accept: Sequence[str] = ()
    timeout: float | None = None
    idempotency_key: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> call_pb2.Call:
        """Returns it as a proto. Raises TypeError for a parameter of a type that cannot travel,
        and ValueError for an integer beyond 64 bits."""
        message = call_pb2.Call(
            connector=self.connector,
            operation=self.operation,
            parameters=[_parameter(name, value) for name, value in self.parameters.items()],
            accept=self.accept,
            idempotency_key=self.idempotency_key,
            metadata=self.metadata,
        )
        if self.payload is not None:
            message.payload.media_type = self.payload.media_type
            message.payload.data = self.payload.data
        if self.timeout is not None:
            message.timeout.CopyFrom(duration(self.timeout))
        return message


@dataclass(frozen=True, slots=True)
class ArgumentFrom:
    """A parameter that is taken from the JSON reply of another branch, at a JSON Pointer."""

    branch: str
    pointer: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One leg of a fan-out. Without a `required` branch's success the policy is not met."""

    name: str
    call: Call
    required: bool = False
    arguments_from: Sequence[ArgumentFrom] = ()

    def message(self) -> gateway_service_pb2.Branch:
        """Returns it as a proto."""
        arguments = (
            gateway_service_pb2.BranchArgument(
                branch=source.branch, pointer=source.pointer, parameter=source.parameter
            )
            for source in self.arguments_from
        )
        return gateway_service_pb2.Branch(
            name=self.name,
            call=self.call.message(),
            required=self.required,
            arguments_from=arguments,
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """When a fan-out is complete. Make one with `all`, `quorum`, `first_ok` or `best_effort`."""

    rule: str
    count: int = 0

    @classmethod
    def all(cls) -> Policy:
        """Every branch must succeed."""
        return cls("all")

    @classmethod
    def quorum(cls, count: int) -> Policy:
        """At least `count` branches must succeed."""
        return cls("quorum", count)

    @classmethod
    def first_ok(cls) -> Policy:
        """The first success decides."""
        return cls("first_ok")

    @classmethod
    def best_effort(cls) -> Policy:
        """Whatever has landed when every branch is done or the time is up."""
        return cls("best_effort")

    def message(self) -> gateway_service_pb2.CompletionPolicy:
        """Returns it as a proto."""
        pb = gateway_service_pb2
        return {
            "all": lambda: pb.CompletionPolicy(all=pb.AllRule()),
            "quorum": lambda: pb.CompletionPolicy(quorum=pb.QuorumRule(count=self.count)),
            "first_ok": lambda: pb.CompletionPolicy(first_ok=pb.FirstOkRule()),
            "best_effort": lambda: pb.CompletionPolicy(best_effort=pb.BestEffortRule()),
        }[self.rule]()


@dataclass(frozen=True, slots=True)
class CallResult:
    """A reply: its body, and what it took."""

    media_type: str
    data: bytes
    effort: Effort = field(default_factory=Effort)

    def json(self) -> Any:
        """Decodes the body as JSON; raises ValueError if it is none."""
        return json.loads(self.data)

    def text(self) -> str:
        """Decodes the body as UTF-8; raises UnicodeDecodeError if it is none."""
        return self.data.decode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one branch: exactly one of `result` and `error` is set."""

    branch: str
    result: CallResult | None
    error: InterlaceError | None
    effort: Effort

    @property
    def is_ok(self) -> bool:
        """Whether the branch succeeded."""
        return self.error is None

    def unwrap(self) -> CallResult:
        """Returns the result, or raises the branch's error."""
        if self.result is None:
            raise self.error or AssertionError("an outcome has a result or an error")
        return self.result


def duration(seconds: float) -> Duration:
    """Returns a time in seconds as a proto."""
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def read_payload(message: payload_pb2.Payload, effort: Effort) -> CallResult:
    """Reads a reply's body."""
    return CallResult(message.media_type, message.data, effort)


def read_outcome(message: outcome_pb2.Outcome) -> Outcome:
    """Reads the outcome of a branch or of a session's call."""
    effort = read_effort(message.effort)
    if message.HasField("status"):
        return Outcome(message.branch, None, error_from_status(message.status), effort)
    return Outcome(message.branch, read_payload(message.payload, effort), None, effort)


def _parameter(name: str, value: Argument) -> call_pb2.Parameter:
    # bool comes before int, of which it is a kind; str before the sequences, likewise.
    match value:
        case bool():
            return call_pb2.Parameter(name=name, bool_value=value)
        case str():
            return call_pb2.Parameter(name=name, string_value=value)
        case int():
            return call_pb2.Parameter(name=name, int64_value=value)
        case float():
            return call_pb2.Parameter(name=name, double_value=value)
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return call_pb2.Parameter(name=name, list_value=call_pb2.StringList(values=value))
        case _:
            raise TypeError(f"parameter {name!r}: a text, number, truth value or list of texts")
