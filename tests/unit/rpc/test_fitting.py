from __future__ import annotations

import pytest

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Call, Effort, Payload, Reply
from interlaced.rpc.fitting import check_fit, check_reply


def a_call() -> Call:
    return Call(deadline=1e9, effort=Effort(0.0, attempts=2), connector="shop", operation="Get")


def test_a_reply_that_is_too_large_was_given_all_the_same() -> None:
    check_reply(10, 10, a_call())
    with pytest.raises(Failure) as caught:
        check_reply(11, 10, a_call())
    failure = caught.value
    assert (failure.reason, failure.reached) == (Reason.TOO_LARGE, Reached.REPLIED)
    assert failure.operation == "shop.Get"
    assert failure.context == {"size": "11", "limit": "10", "attempts": "2"}


def test_there_is_room_for_what_stands_around_a_payload() -> None:
    check_fit(Reply(Payload("text/plain", bytes(5000))), 10_000, a_call())
    with pytest.raises(Failure, match="the limit is 10000 bytes"):
        check_fit(Reply(Payload("text/plain", bytes(9000))), 10_000, a_call())
