"""The settings of the websocket kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from interlaced.connectors.history import History
from interlaced.core.backoff import Backoff
from interlaced.core.path import compile_path
from interlaced.schema.fields import BackoffField, Duration, Name, SecretField, Size, Strict
from interlaced.transport.egress import EgressGuard
from interlaced.transport.headers import check_header

__all__ = [
    "RESUME",
    "Ack",
    "Auth",
    "Basic",
    "Config",
    "FeedConfig",
    "Heartbeat",
    "Match",
    "Scalar",
    "Tls",
    "Upstream",
]

RESUME = ("seq", "id", "time", "sequences")
"""What `$resume.NAME` in a subscribe frame may name."""


def _check_path(text: str) -> str:
    if compile_path(text).root:
        raise ValueError("a path of a frame begins with $ and a dot, such as $.symbol")
    return text


def _check_literal_or_path(text: str) -> str:
    return _check_path(text) if text.startswith("$") else text


def _check_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("expected an address such as wss://example.com/feed")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials belong into auth or headers, not into the address")
    if parts.fragment:
        raise ValueError("a WebSocket address has no fragment")
    return text


def _check_frame(frame: object) -> object:
    """Refuses references that no subscribe frame can fill."""
    if isinstance(frame, dict):
        for member in frame.values():
            _check_frame(member)
    elif isinstance(frame, list):
        for member in frame:
            _check_frame(member)
    elif isinstance(frame, str) and frame.startswith("$"):
        name = frame.removeprefix("$resume.")
        if name not in RESUME:
            known = ", ".join(f"$resume.{each}" for each in RESUME)
            raise ValueError(f"unknown reference in a frame; there are {known}")
    return frame


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


def _check_headers(headers: dict[str, SecretField]) -> dict[str, SecretField]:
    for name, secret in headers.items():
        check_header(name, secret.reveal())
        if name.lower().startswith("sec-websocket-"):
            raise ValueError("the headers of the WebSocket handshake belong to the transport")
    return headers


def _check_allowance(text: str) -> str:
    EgressGuard((text,))
    return text


_PathText: TypeAlias = Annotated[str, AfterValidator(_check_path)]
_AttributeName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
_LiteralOrPath: TypeAlias = Annotated[str, AfterValidator(_check_literal_or_path)]
Scalar: TypeAlias = str | bool | int | float | None
Match: TypeAlias = dict[_PathText, Scalar | list[Scalar]]
_Template: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_frame)]


class Heartbeat(Strict):
    """Signs of life. Any frame counts as one, pongs and pings too."""

    ping: Annotated[Duration, Field(gt=0)] = 20.0
    """How often we ping."""
    dead_after: Annotated[Duration, Field(gt=0)] | None = None
    """After so long without any frame the connection is killed; twice `ping` by default."""
    frame: Annotated[dict[str, Any] | None, Field(repr=False)] = None
    """The JSON frame to ping with, for upstreams that do not count protocol pings."""

    @property
    def limit(self) -> float:
        """How long silence may last, in seconds."""
        return 2 * self.ping if self.dead_after is None else self.dead_after

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.limit <= self.ping:
            raise ValueError("dead_after must be longer than ping, or a quiet feed never lives")
        return self


class Ack(Strict):
    """How the upstream confirms a subscription."""

    match: Annotated[Match, Field(min_length=1)]
    """Paths and values by which a frame is known as the confirmation."""
    reject: Match = Field(default_factory=dict)
    """Paths and values by which a frame is known as a refusal."""
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many confirmations come."""
    within: Annotated[Duration, Field(gt=0)] = 5.0
    """How long to wait for them."""


class Basic(Strict):
    """A user and a password."""

    username: SecretField
    """The user."""
    password: SecretField
    """The password."""


class Auth(Strict):
    """How we show who we are at the handshake: exactly one of these."""

    bearer: SecretField | None = None
    """A token, sent as `Authorization: Bearer`."""
    basic: Basic | None = None
    """A user and a password, sent as `Authorization: Basic`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("expected exactly one of bearer and basic")
        return self


class Tls(Strict):
    """Paths of PEM files for wss."""

    ca: str = ""
    """The authorities to trust in place of the system's."""
    certificate: str = ""
    """Our own certificate, for servers that ask for one."""
    key: str = ""
    """The key of our certificate."""


class Upstream(Strict):
    """The server, and the one connection to it that all feeds of the connector share."""

    websocket: Annotated[str, AfterValidator(_check_url)]
    """The address, `ws://` or `wss://`."""
    auth: Auth | None = None
    """Who we are."""
    headers: Annotated[dict[str, SecretField], AfterValidator(_check_headers)] = Field(
        default_factory=dict
    )
    """Further headers of the handshake."""
    protocols: tuple[str, ...] = ()
    """Subprotocols to offer."""
    allow_private: tuple[Annotated[str, AfterValidator(_check_allowance)], ...] = ()
    """Addresses (CIDRs or exact hosts) that are not public and may be connected to."""
    tls: Tls = Tls()
    """Authorities and client certificate."""
    connect_timeout: Annotated[Duration, Field(gt=0)] = 2.0
    """How long connect and handshake may take."""
    max_frame: Annotated[Size, Field(ge=125)] = 4 * 1024 * 1024
    """The largest message, joined and inflated; a larger one ends the connection."""
    compression: bool = False
    """Whether to offer permessage-deflate."""
    on_open: Annotated[tuple[_Template, ...], BeforeValidator(_as_list), Field(repr=False)] = ()
    """The JSON frames that subscribe, one or a list; `$resume.seq`, `$resume.id`, `$resume.time`
    and `$resume.sequences` stand for what came last, and their member is left out at first."""
    ack: Ack | None = None
    """How the upstream confirms; without it a sent subscription counts as confirmed."""
    heartbeat: Heartbeat = Heartbeat()
    """Signs of life."""
    reconnect: BackoffField = Backoff(0.25, 30.0)
    """The waits between tries to reconnect."""
    pace: Duration = 1.0
    """At most one attempt to connect in this time, over all feeds."""
    buffer: Annotated[Size, Field(ge=1024)] = 4 * 1024 * 1024
    """How much may wait for one reader; beyond it the oldest goes, and a gap says so."""
    unreadable: Literal["gap", "reconnect"] = "gap"
    """What a frame that is no JSON does: a gap in every feed, or a new connection."""


class FeedConfig(History):
    """One feed: which frames belong to it, and where their parts are."""

    description: str = ""
    """What it tells."""
    match: Match = Field(default_factory=dict)
    """Paths and the values they must have (a list means any of them); all frames without it."""
    key: _PathText | None = None
    """Where the key is: what order and conflation go by."""
    id: _PathText | None = None
    """Where the event's id is; made up from key and sequence, or counted, without it."""
    type: _LiteralOrPath = ""
    """The event's type, as text or as a path; CONNECTOR.FEED without it."""
    source: _LiteralOrPath = ""
    """Who says so, as text or as a path; CONNECTOR.FEED without it."""
    subject: _PathText | None = None
    """Where the subject is."""
    time: _PathText | None = None
    """Where the time is: RFC 3339, or seconds or milliseconds since 1970."""
    attributes: dict[_AttributeName, _PathText] = Field(default_factory=dict)
    """Further attributes of the event, and where they are."""
    data: _PathText = "$"
    """Where the payload is; the whole frame, byte for byte, by default."""
    data_as: Literal["json", "text", "base64"] = "json"
    """What stands there: JSON, or a string that is or encodes the payload itself."""
    media_type: Annotated[str, Field(min_length=1, max_length=255)] = "application/json"
    """What the payload is."""
    sequence: _PathText | None = None
    """Where the number is that grows by one; it finds what is missing."""
    sequence_per: Literal["key", "feed"] = "key"
    """Whether each key has numbers of its own."""


class Config(Strict):
    """A websocket connector."""

    upstream: Upstream
    """The server."""
    feeds: Annotated[dict[Name, FeedConfig], Field(min_length=1)]
    """What to listen to."""
