"""The settings of the nats kind."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from interlaced.connectors.history import History
from interlaced.core.backoff import Backoff
from interlaced.schema.fields import BackoffField, Duration, Name, SecretField, Size, Strict

__all__ = [
    "AckConfig",
    "AuthConfig",
    "Config",
    "DeadLettersConfig",
    "FeedConfig",
    "SinkConfig",
    "StreamConfig",
    "StreamName",
    "Subject",
    "TlsConfig",
    "UpstreamConfig",
    "covers",
]

_PART = r"[^\s.*>]+"
_PATTERN = re.compile(rf"({_PART}|\*)(\.({_PART}|\*))*(\.>)?|>")

Subject = Annotated[str, StringConstraints(pattern=rf"^{_PART}(\.{_PART})*$", max_length=255)]
"""A subject without wildcards, such as `orders.new`."""

StreamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""The name of a stream."""


def covers(pattern: str, subject: str) -> bool:
    """Tells whether a subject with wildcards takes in another one."""
    wanted, given = pattern.split("."), subject.split(".")
    for number, part in enumerate(wanted):
        if part == ">":
            return len(given) > number
        if number >= len(given) or given[number] == ">" or part not in ("*", given[number]):
            return False
    return len(wanted) == len(given)


def _check_pattern(pattern: str) -> str:
    if _PATTERN.fullmatch(pattern) is None or len(pattern) > 255:
        raise ValueError("expected a subject such as orders.new, orders.* or orders.>")
    return pattern


class AuthConfig(Strict):
    """Who we are: a user with a password, or a token."""

    user: str = ""
    """The user's name."""
    password: SecretField | None = None
    """The user's password."""
    token: SecretField | None = None
    """A token instead of both."""

    @model_validator(mode="after")
    def _is_one_way(self) -> "AuthConfig":
        if bool(self.user) == (self.token is not None) or bool(self.user) != bool(self.password):
            raise ValueError("expected `user` and `password`, or `token`")
        return self


class TlsConfig(Strict):
    """How to verify the server, and what to show it; paths of PEM files."""

    ca: str = ""
    """The authorities to trust instead of the system's."""
    certificate: str = ""
    """Our certificate, for servers that ask."""
    key: str = ""
    """The key of our certificate."""
    hostname: str = ""
    """The name that the server's certificate must have, if it is not the one in the address."""


class UpstreamConfig(Strict):
    """The servers of one NATS system. They are the operator's own and trusted."""

    nats: str | tuple[str, ...]
    """One address such as `nats://127.0.0.1:4222`, or several of one cluster."""
    auth: AuthConfig | None = None
    """Who we are."""
    tls: TlsConfig | None = None
    """How to verify the server; `tls://` addresses are verified without it."""
    connect_timeout: Duration = Field(default=2.0, gt=0)
    """How long one connection may take."""
    timeout: Duration = Field(default=5.0, gt=0)
    """How long one answer of the server may take."""
    heartbeat: Duration = Field(default=5.0, ge=0.1)
    """How often an idle consumer has to say that it is alive. After two and a half of these in
    silence it is rebuilt, whatever the connection says."""

    @field_validator("nats")
    @classmethod
    def _has_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (value,) if isinstance(value, str) else value or ("",):
            parts = urlsplit(address)
            if parts.scheme not in ("nats", "tls") or not parts.hostname:
                raise ValueError("expected an address such as nats://127.0.0.1:4222")
            if parts.username is not None:
                raise ValueError("write credentials as `auth`, not in the address")
        return value

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses."""
        return (self.nats,) if isinstance(self.nats, str) else self.nats


class StreamConfig(Strict):
    """A stream that is created if it is missing. One that exists is left as it is."""

    subjects: tuple[str, ...] = Field(min_length=1)
    """What it takes in."""
    storage: Literal["file", "memory"] = "file"
    """Where it keeps its messages."""
    replicas: int = Field(default=1, ge=1, le=5)
    """On how many servers."""
    max_events: int | None = Field(default=None, ge=1)
    """The most messages that it keeps; the oldest go first."""
    max_bytes: Size | None = None
    """The most bytes that it keeps; the oldest go first."""
    max_age: Duration | None = None
    """How long it keeps a message."""
    dedupe: Duration = Field(default=120.0, gt=0)
    """How long a second message with the same id counts as a duplicate."""

    _subjects = field_validator("subjects")(lambda value: tuple(map(_check_pattern, value)))


class AckConfig(Strict):
    """How competing consumers settle."""

    wait: Duration = Field(default=30.0, ge=0.1)
    """The broker's lease: how long after we fall silent a delivery comes again. We renew it from
    the moment of receipt."""
    hold: Duration = 300.0
    """How long a delivery may stay unsettled in all before we stop to renew its lease."""
    max_deliver: int = Field(default=5, ge=1)
    """How often an event is delivered before it goes to the dead letters."""
    backoff: BackoffField = Backoff(0.2, 30.0)
    """The wait after a nack that names none."""
    in_flight: int = Field(default=1000, ge=1)
    """The most deliveries that a group holds unsettled, over all of its members."""
    batch: int = Field(default=64, ge=1, le=1000)
    """The most deliveries that one member asks for at a time."""


class DeadLettersConfig(Strict):
    """Where dead letters are kept."""

    stream: StreamName | None = None
    """Their stream; `STREAM-dead` if it is left out."""
    subject: Subject | None = None
    """Their subject; `dead.STREAM.FEED` if it is left out."""
    create: bool = True
    """Creates the stream if it is missing."""


class FeedConfig(History):
    """Something to listen to: a part of a stream, or a subject of core NATS."""

    description: str = ""
    """What it tells."""
    subject: str
    """What to listen to, such as `orders.>`."""
    stream: StreamName | None = None
    """The stream that keeps it."""
    core: bool = False
    """Listens without a stream: nothing is kept, acknowledged or repeated."""
    queue_limit: int = Field(default=10_000, ge=1)
    """The most unread messages of a core feed; what comes then is dropped, counted and reported."""
    media_type: str = "application/json"
    """What the data is where a message does not say."""
    ack: AckConfig = AckConfig()
    """How competing consumers settle."""
    dead_letters: DeadLettersConfig = DeadLettersConfig()
    """Where events go that nobody could handle."""

    _subject = field_validator("subject")(_check_pattern)

    @model_validator(mode="after")
    def _has_one_origin(self) -> "FeedConfig":
        if self.core == (self.stream is not None):
            raise ValueError("a feed has either `stream` or `core: true`")
        dead = self.dead_letters.subject or f"dead.{self.stream}."
        if self.stream is not None and covers(self.subject, dead.rstrip(".")):
            raise ValueError("the feed would take in its own dead letters: narrow its `subject`")
        return self


class SinkConfig(Strict):
    """Something to publish to."""

    description: str = ""
    """What it takes."""
    subject: Subject
    """Where to publish, such as `orders.new`."""
    stream: StreamName | None = None
    """The stream that has to confirm; any that takes the subject if it is left out."""
    core: bool = False
    """Publishes without a stream: nothing is kept, and nobody need be listening."""


class Config(Strict):
    """A connector of the nats kind."""

    upstream: UpstreamConfig
    """The servers."""
    streams: dict[StreamName, StreamConfig] = Field(default_factory=dict)
    """Streams to create at the first connection if they are missing."""
    feeds: dict[Name, FeedConfig] = Field(default_factory=dict)
    """Feeds, by name; each with a stream has its dead letters as the feed `NAME.dead`."""
    sinks: dict[Name, SinkConfig] = Field(default_factory=dict)
    """Sinks, by name."""
