"""What ssl and the operating system raise, as failures."""

from __future__ import annotations

import errno
import ssl

import pytest

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.transport.wire_errors import (
    EgressRefusedError,
    connect_failure,
    is_settled,
    large_headers,
    lost_failure,
    malformed,
    truncated,
)


def test_a_status_settles_what_was_done_only_where_nobody_else_can_have_said_it() -> None:
    settled = {status for status in range(100, 600) if is_settled(status)}
    assert settled == set(range(400, 600)) - {408, 502, 503, 504}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(), Reason.UPSTREAM_CONNECT),
        (OSError(errno.EMFILE, ""), Reason.OVERLOADED),
        (EgressRefusedError(), Reason.EGRESS_DENIED),
        (UnicodeError(), Reason.UPSTREAM_CONNECT),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_connect_that_fails_has_sent_nothing(error: Exception, reason: Reason) -> None:
    failure = connect_failure(error)
    assert (failure.reason, failure.reached) == (reason, Reached.NOT_SENT)


def test_an_alert_about_our_certificate_says_that_nothing_was_read() -> None:
    alert = ssl.SSLError()
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    failure = lost_failure(alert, Reached.MAYBE)
    assert (failure.reason, failure.reached) == (Reason.UPSTREAM_TLS, Reached.NOT_SENT)
    other = lost_failure(ssl.SSLError(), Reached.MAYBE)
    assert (other.reason, other.reached) == (Reason.UPSTREAM_TLS, Reached.MAYBE)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (lost_failure(None, Reached.MAYBE), Reason.UPSTREAM_UNAVAILABLE),
        (lost_failure(ConnectionResetError(), Reached.MAYBE), Reason.UPSTREAM_UNAVAILABLE),
        (truncated(Reached.MAYBE), Reason.UPSTREAM_TRUNCATED),
        (malformed(Reached.MAYBE), Reason.UPSTREAM_MALFORMED),
        (large_headers("8190B", Reached.MAYBE), Reason.TOO_LARGE),
    ],
    ids=["end", "reset", "short", "nonsense", "headers"],
)
def test_what_was_sent_may_have_been_acted_on(failure: Failure, reason: Reason) -> None:
    assert (failure.reason, failure.reached) == (reason, Reached.MAYBE)
