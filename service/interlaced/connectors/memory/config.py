"""The settings of the memory kind."""

from pydantic import Field, JsonValue, model_validator

from interlaced.connectors.history import History
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Reached, Reason
from interlaced.core.model import Effect
from interlaced.schema.fields import BackoffField, Duration, Name, Size, Strict

__all__ = [
    "AckConfig",
    "Config",
    "FailConfig",
    "FeedConfig",
    "OperationConfig",
    "SinkConfig",
    "UpstreamConfig",
]


class UpstreamConfig(Strict):
    """The embedded broker, and the bounds of each of its topics. Whoever names a broker first sets
    its bounds."""

    memory: Name
    """The broker's name; connectors that name the same one share it."""
    keep_events: int = Field(default=10_000, ge=1)
    """The most events that a topic keeps."""
    keep_bytes: Size = Field(default=16 * 1024 * 1024, ge=1)
    """The most bytes that a topic keeps."""
    dedupe: Duration = 120.0
    """How long a second event with the same source and id counts as a duplicate."""


class FailConfig(Strict):
    """A failure that an operation plays."""

    reason: Reason
    """The failure's reason, such as `UPSTREAM_UNAVAILABLE`."""
    times: int | None = Field(default=None, ge=1)
    """How many calls fail before the reply is given; all of them if it is left out."""
    reached: Reached = Reached.REPLIED
    """Whether the far side could have acted: `not_sent`, `maybe` or `replied`."""
    retry_after: Duration | None = None
    """When coming back makes sense."""


class OperationConfig(Strict):
    """A canned answer."""

    description: str = ""
    """What it does."""
    effect: Effect = Effect.SAFE
    """Whether it may be repeated: `safe`, `idempotent` or `unsafe`."""
    reply: JsonValue = None
    """The answer, as JSON."""
    echo: bool = False
    """Answers with the call's own payload, or with its parameters if it has none."""
    delay: Duration = 0.0
    """How long the answer takes."""
    fail: FailConfig | None = None
    """The failure to play before the reply, or instead of it."""
    takes_key: bool = False
    """Says that an idempotency key makes it repeatable."""
    creates: bool = False
    """Says that a conflict means that it exists already."""

    @model_validator(mode="after")
    def _has_one_answer(self) -> "OperationConfig":
        if self.echo and self.reply is not None:
            raise ValueError("an operation has either `reply` or `echo`")
        return self


class AckConfig(Strict):
    """How competing consumers settle."""

    wait: Duration = Field(default=30.0, gt=0)
    """How long a delivery may stay unsettled before it comes again."""
    max_deliver: int = Field(default=5, ge=1)
    """How often an event is delivered before it goes to the dead letters."""
    backoff: BackoffField = Backoff(0.2, 30.0)
    """The wait after a nack that names none."""
    in_flight: int = Field(default=1000, ge=1)
    """The most deliveries that a group holds unsettled."""
    batch: int = Field(default=16, ge=1, le=1000)
    """The most deliveries that one read takes."""


class FeedConfig(History):
    """A topic to listen to."""

    description: str = ""
    """What it tells."""
    topic: Name | None = None
    """The topic; the feed's own name if it is left out."""
    ack: AckConfig = AckConfig()
    """How competing consumers settle."""


class SinkConfig(Strict):
    """A topic to publish to."""

    description: str = ""
    """What it takes."""
    topic: Name | None = None
    """The topic; the sink's own name if it is left out."""


class Config(Strict):
    """A connector of the memory kind."""

    upstream: UpstreamConfig
    """The embedded broker."""
    operations: dict[Name, OperationConfig] = Field(default_factory=dict)
    """Canned answers, by name."""
    feeds: dict[Name, FeedConfig] = Field(default_factory=dict)
    """Feeds, by name; each has its dead letters as the feed `NAME.dead`."""
    sinks: dict[Name, SinkConfig] = Field(default_factory=dict)
    """Sinks, by name."""
