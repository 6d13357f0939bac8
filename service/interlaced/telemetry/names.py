"""Every metric's name, labels and meaning, and the names of log fields, in one place.

Names are those of the OpenTelemetry semantic conventions 1.44 where they have one, else our own
under `interlace.`; the Prometheus spelling replaces dots and adds the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "ALL",
    "DURATION_BUCKETS",
    "LOG_FIELDS",
    "OF_GROUP",
    "OF_PROCESS",
    "Instrument",
    "Merge",
    "Metric",
]

DURATION_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
"""Seconds, as the conventions advise for call durations."""


class Instrument:
    """What kind of instrument a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merge:
    """How the values of several workers become those of the server that they are together.

    Counters and histograms are always summed. A gauge says which of these fits it.
    """

    SUM = "sum"
    """What each has of its own: calls in flight, subscribers."""
    MOST = "most"
    """What is one for the whole group and told by whoever knows: the upstream connection of a
    feed, the time of its last event, what is served."""
    EACH = "each"
    """What is a state of one process, and would be nonsense in sum: every worker's own series,
    with the label `worker`."""
    GROUP = "group"
    """What the supervisor counts itself, once for the group."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `name` in the conventions' spelling, `unit` as UCUM text, `merge` as in Merge."""

    name: str
    instrument: str
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    merge: str = Merge.SUM

    @property
    def prometheus(self) -> str:
        """The Prometheus spelling, without the `_total` that a counter gets."""
        base = self.name.replace(".", "_")
        return f"{base}_seconds" if self.unit == "s" else base


_C, _G, _H = Instrument.COUNTER, Instrument.GAUGE, Instrument.HISTOGRAM
_OPERATION = ("connector", "operation")
_FEED = ("connector", "feed")

RPC_DURATION = Metric(
    "rpc.server.call.duration", _H, "Time from a call's start to its end.",
    ("rpc_method", "rpc_response_status_code", "error_type"), "s",
)  # fmt: skip
RPC_ACTIVE = Metric("interlace.rpc.active", _G, "RPCs that are being served.", ("rpc_method",))
ATTEMPTS = Metric(
    "interlace.upstream.attempts", _C, "Requests made to upstreams.", (*_OPERATION, "outcome")
)
ATTEMPT_DURATION = Metric(
    "interlace.upstream.attempt.duration", _H, "Time of one attempt.", _OPERATION, "s"
)
RETRY_WAIT = Metric(
    "interlace.upstream.retry.wait", _H, "Waits before another attempt.", _OPERATION, "s"
)
RETRY_BUDGET = Metric(
    "interlace.retry.budget", _G, "Retries in the budget.", ("connector",), merge=Merge.EACH
)
BREAKER_STATE = Metric(
    "interlace.breaker.state", _G, "1 for the state that the breaker is in.",
    ("connector", "state"), merge=Merge.EACH,
)  # fmt: skip
BREAKER_TRANSITIONS = Metric(
    "interlace.breaker.transitions", _C, "Changes of the breaker's state.", ("connector", "state")
)
POLICY_WAIT = Metric(
    "interlace.policy.wait", _H, "Waits that a policy imposed.", (*_OPERATION, "policy"), "s"
)
POLICY_REJECTIONS = Metric(
    "interlace.policy.rejections", _C, "Calls that a policy refused.", (*_OPERATION, "policy")
)
BULKHEAD_IN_FLIGHT = Metric(
    "interlace.bulkhead.in_flight", _G, "Attempts in flight.", ("connector",)
)
BULKHEAD_QUEUE = Metric("interlace.bulkhead.queue", _G, "Attempts that wait.", ("connector",))
FEED_CONNECTED = Metric(
    "interlace.feed.connected", _G, "1 while the upstream is connected.", _FEED, merge=Merge.MOST
)
FEED_RECONNECTS = Metric("interlace.feed.reconnects", _C, "Lost upstream connections.", _FEED)
FEED_EVENTS = Metric("interlace.feed.events", _C, "Events received.", _FEED)
FEED_GAPS = Metric("interlace.feed.gaps", _C, "Gaps reported.", (*_FEED, "why"))
FEED_LAST_EVENT = Metric(
    "interlace.feed.last.event.time", _G, "When the last event came, since 1970.", _FEED, "s",
    merge=Merge.MOST,
)  # fmt: skip
SUBSCRIBERS = Metric("interlace.subscribers", _G, "Subscribers that listen.", _FEED)
SUBSCRIBER_DROPPED = Metric(
    "interlace.subscriber.dropped", _C, "Events dropped for subscribers.", (*_FEED, "policy")
)
SETTLED = Metric("interlace.feed.settled", _C, "Deliveries settled.", (*_FEED, "verdict"))
RELOADS = Metric(
    "interlace.config.reloads", _C, "Reloads of the configuration.", ("result",), merge=Merge.GROUP
)
BUILD_INFO = Metric(
    "interlace.build.info", _G, "Always 1.", ("version", "config_hash"), merge=Merge.MOST
)
LOOP_LAG = Metric(
    "interlace.loop.lag", _G, "How late the event loop's timers are.", (), "s", merge=Merge.EACH
)
LOOP_TASKS = Metric("interlace.loop.tasks", _G, "Tasks of the event loop that are alive.")
WORKERS_SERVING = Metric("interlace.workers.serving", _G, "Workers that serve.", merge=Merge.GROUP)
WORKER_RESTARTS = Metric(
    "interlace.workers.restarts", _C, "Workers that were started again.", merge=Merge.GROUP
)

LOG_FIELDS: Mapping[str, str] = {
    "method": "rpc.method",
    "code": "rpc.response.status_code",
    "exit_code": "process.exit.code",
    "connector": "interlace.connector",
    "operation": "interlace.operation",
    "feed": "interlace.feed",
    "reason": "error.reason",
    "worker": "interlace.worker",
}
"""What the short names of our log fields become in a JSON record."""

ALL: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
"""Every metric of the house."""

OF_GROUP: tuple[Metric, ...] = tuple(metric for metric in ALL if metric.merge == Merge.GROUP)
"""What the supervisor of a group counts itself."""

OF_PROCESS: tuple[Metric, ...] = tuple(
    metric for metric in ALL if metric not in (WORKERS_SERVING, WORKER_RESTARTS)
)
"""What a process that serves shows of itself."""
