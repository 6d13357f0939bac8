"""Gates: what an attempt passes on its way, nearly always without a wait.

A gate is asked first whether it lets the request through at once; only one that does not is waited
for. So several policies cost one step of the event loop's machinery and not one each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from interlaced.core.model import Handler, Request, RequestT, ResultT

__all__ = ["Gate", "pass_gates"]


class Gate(Protocol):
    """Lets requests through, and is told when each that it let through is done."""

    def try_enter(self, request: Request) -> bool:
        """Lets the request through at once, or returns False and changes nothing."""
        ...

    async def enter(self, request: Request) -> None:
        """Waits until the request may pass, or raises the Failure that says why it never will.
        Cancelling it leaves nothing behind."""
        ...

    def leave(self) -> None:
        """One that it let through is done."""
        ...


def pass_gates(
    follow: Handler[RequestT, ResultT], gates: Sequence[Gate]
) -> Handler[RequestT, ResultT]:
    """Takes every request through the gates in their order, and leaves them in the reverse."""
    entries = tuple((gate.try_enter, gate.enter) for gate in gates)
    exits = tuple(gate.leave for gate in gates)

    async def run(request: RequestT) -> ResultT:
        passed = 0
        try:
            for try_enter, enter in entries:
                if not try_enter(request):
                    await enter(request)
                passed += 1
            return await follow(request)
        finally:
            while passed:
                passed -= 1
                exits[passed]()

    return run
