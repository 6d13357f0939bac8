"""A guard and a scope without a wire, for the servicers' own tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fake_context import FakeContext

from interlaced.core.clock import LoopClock
from interlaced.rpc.guard import Guard, Scope
from interlaced.rpc.settings import RpcSettings
from interlaced.testing.fakes import FakeRpcObserver


def a_guard(settings: RpcSettings | None = None) -> Guard:
    """A guard on the running loop."""
    return Guard(clock=LoopClock(), observer=FakeRpcObserver(), settings=settings or RpcSettings())


def a_scope(
    request_class: Any = None,
    requests: Sequence[bytes] = (),
    metadata: Sequence[tuple[str, str]] = (),
) -> tuple[Scope[Any], FakeContext]:
    """A scope with 30 s to spend, and the context that it writes to."""
    context = FakeContext(metadata, requests=requests)
    scope: Scope[Any] = Scope(context, LoopClock().now(), 4 * 1024 * 1024)
    scope.deadline = scope.started + 30
    scope.request_class = request_class
    return scope, context
