"""Gates: what an attempt passes on its way, nearly always without a wait.

A gate is asked first whether it lets the request through at once; only one that does not is waited
for. So several policies cost one step of the event loop's machinery and not one each.
"""

from __future__ import annotations

from typing import Protocol

from interlaced.core.model import Request

__all__ = ["Gate", "no_op"]


def no_op() -> None:
    """Gives back what a gate holds that holds nothing."""


class Gate(Protocol):
    """Lets requests through, and is told when each that it let through is done."""

    def try_enter(self) -> bool:
        """Lets a request through at once, or returns False and changes nothing."""
        ...

    async def enter(self, request: Request) -> None:
        """Waits until the request may pass, or raises the Failure that says why it never will.
        Cancelling it leaves nothing behind."""
        ...

    def leave(self) -> None:
        """One that it let through is done."""
        ...

    def revoke(self) -> None:
        """One that it let through at once never went: it costs nothing. Called instead of `leave`,
        in the same step of the loop."""
        ...
