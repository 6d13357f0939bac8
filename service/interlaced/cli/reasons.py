"""What each reason of an error means and what to do about it: `interlace help REASON`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlaced.core.failure import Reason

__all__ = ["REASONS", "Advice"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason means, in the words of `error_reason.proto`, and what to do."""

    meaning: str
    action: str


REASONS: Mapping[Reason, Advice] = {
    Reason.INVALID_REQUEST: Advice(
        "the request breaks our own rules; BadRequest names the field",
        "Mend the field that is named. Asking again gives the same answer.",
    ),
    Reason.UNACCEPTABLE_MEDIA_TYPE: Advice(
        "none of the accepted media types can be had",
        "Accept what the operation produces: `interlace explain` and the catalog name it.",
    ),
    Reason.BAD_CURSOR: Advice(
        "the cursor is malformed, forged or signed with an unknown key",
        "Start without a cursor. After a restart: give all servers the same --cursor-keys.",
    ),
    Reason.UPSTREAM_REJECTED: Advice(
        "the upstream found the request wrong (400, 413, 422)",
        "Mend the request. Asking again gives the same answer.",
    ),
    Reason.UNKNOWN_CONNECTOR: Advice(
        "there is no connector of this name",
        "Look at the spelling, and at what the server has loaded: GET /status lists its names.",
    ),
    Reason.UNKNOWN_OPERATION: Advice(
        "the connector has no operation of this name",
        "Look at the spelling, and at the manifest of the connector.",
    ),
    Reason.UNKNOWN_FEED: Advice(
        "there is no feed or sink of this name",
        "Look at the spelling, and at the manifest of the connector.",
    ),
    Reason.UPSTREAM_NOT_FOUND: Advice(
        "the upstream has no such thing (404, 410)",
        "Ask for something else; an error rule of the manifest may say it otherwise.",
    ),
    Reason.CALLER_UNAUTHENTICATED: Advice(
        "the caller's credentials are missing or wrong",
        "Give --api-key or a client certificate that the server knows.",
    ),
    Reason.CALLER_DENIED: Advice(
        "the caller may not do this",
        "Ask the operator of the service.",
    ),
    Reason.EGRESS_DENIED: Advice(
        "the upstream's address is not allowed; nothing was sent",
        "If the address is meant, name it in `allow_private` of the connector.",
    ),
    Reason.UPSTREAM_CREDENTIALS_REJECTED: Advice(
        "the upstream refused Interlace's own credential (401, 403)",
        "Renew the credential of the connector, then `interlace reload`. Callers are not to blame.",
    ),
    Reason.UPSTREAM_MALFORMED: Advice(
        "the upstream's answer cannot be read, or the request's shape was refused (405, 406, 415)",
        "Compare the manifest with the upstream's documentation; the error names the place.",
    ),
    Reason.UPSTREAM_TRUNCATED: Advice(
        "the upstream's answer ended too early",
        "It may work again by itself; if it stays, ask the upstream.",
    ),
    Reason.CONTRACT_DRIFT: Advice(
        "the upstream's answer breaks its contract",
        "The upstream has changed: bring the manifest up to date.",
    ),
    Reason.UPSTREAM_FAILED: Advice(
        "the upstream broke (500 and unmapped 5xx)",
        "Repeat only what is safe to repeat; if it stays, ask the upstream.",
    ),
    Reason.UPSTREAM_UNAVAILABLE: Advice(
        "the upstream is not able to answer now (408, 425, 502, 503, 504), or the connection was "
        "lost",
        "Come back later. Before repeating a write, look at `reached`.",
    ),
    Reason.UPSTREAM_CONNECT: Advice(
        "the upstream cannot be reached; nothing was sent",
        "Look at its address, its name in DNS and the network between.",
    ),
    Reason.UPSTREAM_TLS: Advice(
        "the upstream's certificate or protocol was refused",
        "Look at the certificate's dates and names, and at `tls` of the connector.",
    ),
    Reason.UPSTREAM_TIMEOUT: Advice(
        "the upstream used the time up",
        "Give it more time (`attempt_timeout`, `deadline`) or ask the upstream. Before repeating a "
        "write, look at `reached`.",
    ),
    Reason.DEADLINE_SPENT: Advice(
        "waiting inside Interlace used the time up",
        "The caller's deadline is shorter than the queue, the rate limit or the waits between "
        "attempts: `--ledger` shows which.",
    ),
    Reason.OUTCOME_UNKNOWN: Advice(
        "a write that must not be repeated may have happened; look before repeating it",
        "Ask the upstream what it has. An idempotency key makes such a write safe to repeat.",
    ),
    Reason.UPSTREAM_RATE_LIMITED: Advice(
        "the upstream's rate limit (429)",
        "Come back when RetryInfo says; lower `limit.rate` in the policy to stay below it.",
    ),
    Reason.RATE_LIMITED: Advice(
        "Interlace's own rate limit for this upstream",
        "Come back when RetryInfo says, or raise `limit` in the policy.",
    ),
    Reason.BULKHEAD_FULL: Advice(
        "too much is in flight and waiting for this connector",
        "Slow down. The upstream is slow, or `bulkhead` in the policy is narrow.",
    ),
    Reason.OVERLOADED: Advice(
        "too much is in flight in the whole process",
        "Slow down, or add servers.",
    ),
    Reason.TOO_LARGE: Advice(
        "a message or body is over its limit, which is named",
        "Make it smaller, or raise the limit that is named. Asking again gives the same answer.",
    ),
    Reason.SLOW_CONSUMER: Advice(
        "the subscriber did not keep up; resume with the cursor",
        "Read faster, filter, or take another `overflow`.",
    ),
    Reason.STORE_FULL: Advice(
        "the store or broker has no room",
        "Make room: groups that nobody works for keep their events.",
    ),
    Reason.BREAKER_OPEN: Advice(
        "the circuit breaker of this connector is open",
        "Nothing was sent. The upstream failed too often; RetryInfo says when it is tried again. "
        "`interlace explain` shows when the breaker opens.",
    ),
    Reason.DRAINING: Advice(
        "the server is shutting down; nothing was done",
        "Ask another server, or this one when it is back.",
    ),
    Reason.UPSTREAM_CONFLICT: Advice(
        "the upstream's state conflicts (409); ALREADY_EXISTS where the operation creates",
        "Read the state again, then decide.",
    ),
    Reason.POLICY_NOT_MET: Advice(
        "too few branches succeeded; DEADLINE_EXCEEDED if time decided",
        "The ledger of the error says what became of each branch.",
    ),
    Reason.UPSTREAM_PRECONDITION: Advice(
        "a precondition of the request does not hold (412, 428)",
        "Read the state again, then decide.",
    ),
    Reason.CURSOR_MISMATCH: Advice(
        "the cursor belongs to another feed or filter",
        "Use a cursor with the feed and the filter that it came from.",
    ),
    Reason.NOT_ACKABLE: Advice(
        "the feed has no deliveries that can be settled",
        "Subscribe to it instead of consuming, or take a feed of a broker.",
    ),
    Reason.DEPENDENCY_FAILED: Advice(
        "a branch that this one takes arguments from failed; no attempt was made",
        "Look at the branch that it depends on.",
    ),
    Reason.PAGINATION_LOOP: Advice(
        "the upstream's pages go round in a circle",
        "Ask the upstream; what came before the circle was delivered.",
    ),
    Reason.CURSOR_EXPIRED: Advice(
        "the cursor is older than what is kept",
        "Start from the oldest event; what lies between is lost. `retain` of the feed keeps more.",
    ),
    Reason.UPSTREAM_UNSUPPORTED: Advice(
        "the upstream does not support this (501)",
        "Ask for something else.",
    ),
    Reason.UNKNOWN_METHOD: Advice(
        "there is no RPC of this name",
        "The client is newer than the server, or speaks another API.",
    ),
    Reason.CALLER_CANCELLED: Advice(
        "the caller cancelled, or a decided fan-out no longer needed it",
        "Nothing is wrong.",
    ),
    Reason.INTERNAL_ERROR: Advice(
        "a bug in Interlace; the log has the details",
        "Look for `rpc.bug` in the log with the request's id, and tell its maintainers.",
    ),
}
"""Every reason."""
