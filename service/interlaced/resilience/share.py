"""The policy of one worker: its share of the limits that the connector has as a whole.

Breaker and retry budget are not shared out: they judge and bound what this worker does itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from interlaced.core.seat import Seat
from interlaced.core.share import share_count, share_rate
from interlaced.resilience.config import BulkheadConfig, LimitConfig, PolicyConfig

__all__ = ["Unshareable", "find_unshareable", "share_policy"]


@dataclass(frozen=True, slots=True)
class Unshareable:
    """A limit that is too small to give every worker at least one."""

    keys: tuple[str, str]
    limit: int


def find_unshareable(policy: PolicyConfig, seat: Seat) -> Iterator[Unshareable]:
    """Finds the limits that would leave a worker without any, so that it could do nothing.

    A queue and sleepers of 0 are what people may ask for, and are no such limits.
    """
    if policy.bulkhead is not None and policy.bulkhead.in_flight < seat.count:
        yield Unshareable(("bulkhead", "in_flight"), policy.bulkhead.in_flight)
    if policy.limit is not None and policy.limit.burst < seat.count:
        yield Unshareable(("limit", "burst"), policy.limit.burst)


def share_policy(policy: PolicyConfig, seat: Seat) -> PolicyConfig:
    """Returns the policy with the seat's share of rate, burst, places, queue and sleepers; the
    policy itself where there is one seat."""
    if seat.is_alone:
        return policy
    changes: dict[str, object] = {}
    if policy.limit is not None:
        changes["limit"] = _share_limit(policy.limit, seat)
    if policy.bulkhead is not None:
        changes["bulkhead"] = _share_bulkhead(policy.bulkhead, seat)
    return policy.model_copy(update=changes)


def _share_limit(limit: LimitConfig, seat: Seat) -> LimitConfig:
    shares = {"rate": share_rate(limit.rate, seat), "burst": share_count(limit.burst, seat)}
    return limit.model_copy(update=shares)


def _share_bulkhead(bulkhead: BulkheadConfig, seat: Seat) -> BulkheadConfig:
    return bulkhead.model_copy(
        update={
            "in_flight": share_count(bulkhead.in_flight, seat),
            "queue": share_count(bulkhead.queue, seat),
            "sleepers": share_count(bulkhead.sleepers, seat),
        }
    )
