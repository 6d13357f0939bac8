from __future__ import annotations

import pytest

from interlaced.connectors.websocket import errors
from interlaced.core.failure import Disposition, Failure, Reason


@pytest.mark.parametrize("code", [0, 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 4999])
def test_an_end_that_says_nothing_bad_is_worth_a_reconnect(code: int) -> None:
    failure = errors.closed(code)
    assert failure.reason is Reason.UPSTREAM_UNAVAILABLE
    assert failure.disposition is Disposition.TEMPORARY
    assert failure.context == {"close_code": str(code)}


@pytest.mark.parametrize("code", [1008, 3000, 3003])
def test_a_broken_policy_is_about_our_credentials(code: int) -> None:
    assert errors.closed(code).reason is Reason.UPSTREAM_CREDENTIALS_REJECTED


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 1010])
def test_a_peer_that_does_not_like_our_frames_rejects_them(code: int) -> None:
    assert errors.closed(code).reason is Reason.UPSTREAM_REJECTED


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (errors.dead(), Reason.UPSTREAM_TIMEOUT),
        (errors.not_acknowledged(), Reason.UPSTREAM_TIMEOUT),
        (errors.refused(), Reason.UPSTREAM_REJECTED),
        (errors.not_text(), Reason.UPSTREAM_MALFORMED),
        (errors.unreadable(), Reason.UPSTREAM_MALFORMED),
        (errors.shut_down(), Reason.DRAINING),
    ],
)
def test_our_own_rules_have_their_reasons(failure: Failure, reason: Reason) -> None:
    assert failure.reason is reason
