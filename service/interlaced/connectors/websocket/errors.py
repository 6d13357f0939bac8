"""How a WebSocket ends, as Failures: close codes by table, and what our own rules say."""

from __future__ import annotations

from collections.abc import Mapping

from interlaced.core.failure import Disposition, Failure, Reached, Reason

__all__ = [
    "CLOSE_CODES",
    "closed",
    "dead",
    "not_acknowledged",
    "not_text",
    "refused",
    "shut_down",
    "unreadable",
]

_ENDED = (Reason.UPSTREAM_UNAVAILABLE, "The upstream closed the WebSocket.")
_DENIED = (Reason.UPSTREAM_CREDENTIALS_REJECTED, "The upstream does not let us listen.")
_REJECTED = (Reason.UPSTREAM_REJECTED, "The upstream does not accept what we sent.")

CLOSE_CODES: Mapping[int, tuple[Reason, str]] = {
    1000: _ENDED,
    1001: _ENDED,
    1002: _REJECTED,
    1003: _REJECTED,
    1006: (Reason.UPSTREAM_UNAVAILABLE, "The WebSocket connection was lost."),
    1007: _REJECTED,
    1008: _DENIED,
    1009: _REJECTED,
    1010: _REJECTED,
    1011: (Reason.UPSTREAM_UNAVAILABLE, "The upstream failed and closed the WebSocket."),
    1012: (Reason.UPSTREAM_UNAVAILABLE, "The upstream restarts."),
    1013: (Reason.UPSTREAM_UNAVAILABLE, "The upstream is busy and says to try again later."),
    1014: (Reason.UPSTREAM_UNAVAILABLE, "A gateway before the upstream lost its connection."),
    3000: _DENIED,
    3003: _DENIED,
}
"""By the IANA registry of close codes. All of them end in a reconnect with back-off; the reason
tells an operator whether that can help."""


def closed(code: int) -> Failure:
    """Returns what a close code means; unknown codes, and 0 for none, are an ordinary end."""
    reason, message = CLOSE_CODES.get(code, _ENDED)
    return Failure(reason, message, reached=Reached.REPLIED, close_code=str(code))


def dead() -> Failure:
    """Returns the failure of a connection that shows no sign of life."""
    return Failure(
        Reason.UPSTREAM_TIMEOUT,
        "The upstream showed no sign of life for too long.",
        reached=Reached.MAYBE,
    )


def not_acknowledged() -> Failure:
    """Returns the failure of a subscription that was not confirmed in time."""
    return Failure(
        Reason.UPSTREAM_TIMEOUT,
        "The upstream did not confirm the subscription in time.",
        reached=Reached.MAYBE,
    )


def refused() -> Failure:
    """Returns the failure of a subscription that was refused."""
    return Failure(
        Reason.UPSTREAM_REJECTED,
        "The upstream refused the subscription.",
        reached=Reached.REPLIED,
    )


def not_text() -> Failure:
    """Returns the failure of a text frame that is no UTF-8."""
    return _malformed("The upstream sent a text frame that is not UTF-8.")


def unreadable() -> Failure:
    """Returns the failure of a frame that is no JSON, where the configuration reconnects."""
    return _malformed("The upstream sent a frame that is not JSON.")


def _malformed(message: str) -> Failure:
    return Failure(
        Reason.UPSTREAM_MALFORMED,
        message,
        disposition=Disposition.TEMPORARY,
        reached=Reached.REPLIED,
    )


def shut_down() -> Failure:
    """Returns the failure of a connector that is being closed."""
    return Failure(Reason.DRAINING, "The connector is shutting down.")
