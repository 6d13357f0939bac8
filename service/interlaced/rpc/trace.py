"""Whose trace an RPC or a call belongs to, for the log."""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlaced.core.model import Call
from interlaced.telemetry.log import bind

__all__ = ["trace", "tracing"]

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)"
)


def tracing(metadata: Mapping[str, str]) -> dict[str, str]:
    """Reads `traceparent` (W3C Trace Context) into the fields of a log record; nothing if it is
    absent or wrong, as the standard wants it."""
    parent = metadata.get("traceparent")
    match = _TRACEPARENT.match(parent) if parent else None
    if match is None:
        return {}
    return {"trace_id": match[1], "span_id": match[2], "trace_flags": match[3]}


def trace(call: Call) -> None:
    """Logs under the call's own trace from here on, where it has one. Each call of a session and
    each branch is a task, so that none sees another's."""
    bind(**tracing(call.metadata))
