"""What can be set about the gRPC side."""

from pydantic import Field

from interlaced.schema.fields import Duration, Size, Strict

__all__ = ["RpcSettings"]


class RpcSettings(Strict):
    """Limits and times of the gRPC server; durations in seconds, sizes in bytes."""

    max_message: Size = 4 * 1024 * 1024
    """The most bytes of one message, in each direction; gRPC's own limit stands at twice that."""
    default_deadline: Duration = 30.0
    """How long an RPC may take whose caller set no deadline."""
    max_deadline: Duration = 300.0
    """The most time that a caller can ask for; endless streams have no limit."""
    deadline_margin: Duration = 0.02
    """How long before the caller's own deadline an answer leaves, so that it arrives."""
    session_in_flight: int = Field(256, ge=1, le=10_000)
    """How many calls of one session may be in flight; at the limit the server stops reading."""
    max_branches: int = Field(256, ge=1, le=10_000)
    """How many branches one fan-out may have."""
    max_metadata: Size = 16 * 1024
    """The most bytes of metadata that one RPC may bring before it is refused."""
    max_streams: int = Field(1000, ge=1)
    """How many RPCs may be open on one connection; further ones wait at the client."""
    max_rpcs: int = Field(20_000, ge=1)
    """How many RPCs may be open in all: only a last fence, behind the admission of calls."""
    keepalive_time: Duration = 60.0
    """How long a connection may be quiet before it is pinged."""
    keepalive_timeout: Duration = 20.0
    """How long a ping may stay unanswered before the connection is closed."""
    min_ping_interval: Duration = 10.0
    """How often a quiet client may ping without being told off."""
    max_connection_idle: Duration = 900.0
    """How long a connection without RPCs is kept."""
    max_connection_age: Duration = 1800.0
    """How old a connection may become before its client is asked to reconnect."""
    max_connection_age_grace: Duration = 1800.0
    """How long RPCs may go on when the connection has reached its age. As long again: a stream that
    begins late still lives to its own GoingAway instead of being cut off."""
    drain_retry_after: Duration = 1.0
    """When callers that are refused during shutdown are told to come back (elsewhere)."""
    reflection: bool = True
    """Whether reflection is served."""
