"""What may be sent again, and what a failure means in the end."""

from __future__ import annotations

import pytest
from policy_rig import make_call, replied

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Effect
from interlaced.resilience.repeat import Repeat
from interlaced.testing.clock import VirtualClock

LOST = Failure(Reason.UPSTREAM_UNAVAILABLE, "gone", reached=Reached.MAYBE)
REFUSED = Failure(Reason.UPSTREAM_CONNECT, "no connection", reached=Reached.NOT_SENT)
SLOW_DOWN = replied(Reason.UPSTREAM_RATE_LIMITED, 429)
NO_SUCH = replied(Reason.UPSTREAM_NOT_FOUND, 404)


@pytest.mark.parametrize(
    ("effect", "takes_key", "key", "failure", "expected"),
    [
        (Effect.SAFE, False, "", LOST, True),
        (Effect.IDEMPOTENT, False, "", LOST, True),
        (Effect.UNSAFE, False, "", LOST, False),
        (Effect.UNSAFE, False, "k1", LOST, False),
        (Effect.UNSAFE, True, "", LOST, False),
        (Effect.UNSAFE, True, "k1", LOST, True),
        (Effect.UNSAFE, False, "", REFUSED, True),
        (Effect.UNSAFE, False, "", SLOW_DOWN, True),
        (Effect.SAFE, False, "", NO_SUCH, False),
    ],
)
def test_only_what_does_no_harm_is_sent_again(effect, takes_key, key, failure, expected):
    """L3: a write without a key is not sent again once its first byte may have arrived."""
    call = make_call(VirtualClock())
    call.idempotency_key = key
    assert Repeat(effect, takes_key).can_retry(call, failure) is expected


def test_statuses_of_the_policy_decide_where_they_are_given():
    call = make_call(VirtualClock())
    repeat = Repeat(Effect.SAFE, takes_key=False, statuses=frozenset({500}))
    assert repeat.can_retry(call, replied(Reason.UPSTREAM_FAILED, 500))
    assert not repeat.can_retry(call, SLOW_DOWN)
    assert repeat.can_retry(call, REFUSED), "it has no status, so the connector decides"


def test_spent_retries_make_a_temporary_failure_persistent():
    call = make_call(VirtualClock())
    repeat = Repeat(Effect.SAFE, takes_key=False)
    assert repeat.as_final(call, LOST).disposition is Disposition.PERSISTENT
    assert repeat.as_final(call, NO_SUCH) is NO_SUCH


def test_an_unsafe_call_that_may_have_been_seen_has_an_unknown_outcome():
    call = make_call(VirtualClock())
    repeat = Repeat(Effect.UNSAFE, takes_key=False)
    final = repeat.as_final(call, LOST)
    assert final.reason is Reason.OUTCOME_UNKNOWN
    assert final.reached is Reached.MAYBE
    assert final.context["because"] == "UPSTREAM_UNAVAILABLE"
    assert final.__cause__ is LOST
    assert repeat.as_final(call, final) is final
    assert repeat.as_final(call, REFUSED).reason is Reason.UPSTREAM_CONNECT
