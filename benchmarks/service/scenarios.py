"""Every scenario by its name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.service import (
    added,
    boot,
    broker,
    calls,
    feeds,
    payloads,
    policies,
    rates,
    recovery,
    tools,
    workers,
)
from benchmarks.service.plan import Scenario

__all__ = ["ALL", "QUICK"]

ALL: Mapping[str, Scenario] = {
    "call": calls.call,
    "fanout": calls.fanout,
    "session": calls.session,
    "subscribe": feeds.subscribe,
    "idle_subscriber": feeds.idle_subscriber,
    "policies": policies.policies,
    "boot": boot.boot,
    "workers": workers.workers,
    "slow_branch": calls.slow_branch,
    "nats": broker.nats,
    "payload": payloads.payload,
    "tls": payloads.tls,
    "rates": rates.rates,
    "added_latency": added.added_latency,
    "raw_unary": tools.raw_unary,
    "recovery": recovery.recovery,
}
"""What `python -m benchmarks.service` runs."""
QUICK = (
    "call",
    "fanout",
    "session",
    "subscribe",
    "idle_subscriber",
    "policies",
    "boot",
    "workers",
)
"""What decides a budget, and nothing else."""
