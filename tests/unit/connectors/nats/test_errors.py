"""What nats-py and the server say, in the house's own words."""

from __future__ import annotations

import ssl

import nats.errors
import pytest

from interlaced.connectors.nats.errors import (
    API_CODES,
    EXCEPTIONS,
    check,
    from_api,
    from_exception,
    from_fault,
)
from interlaced.core.failure import Disposition, Failure, NotConnected, Reached, Reason
from interlaced.transport.nats_link import LinkLost
from interlaced.transport.nats_pull import PullEnded

SECRET = "nats://user:s3cret@10.0.0.1"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (nats.errors.AuthorizationError(), Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (ssl.SSLCertVerificationError(SECRET), Reason.UPSTREAM_TLS),
        (ConnectionRefusedError(SECRET), Reason.UPSTREAM_CONNECT),
        (nats.errors.NoServersError(), Reason.UPSTREAM_CONNECT),
        (TimeoutError(SECRET), Reason.UPSTREAM_TIMEOUT),
        (nats.errors.TimeoutError(), Reason.UPSTREAM_TIMEOUT),
        (LinkLost(), Reason.UPSTREAM_UNAVAILABLE),
        (nats.errors.NoRespondersError(), Reason.UPSTREAM_PRECONDITION),
        (nats.errors.Error(SECRET), Reason.UPSTREAM_UNAVAILABLE),
        (KeyError(SECRET), Reason.INTERNAL_ERROR),
    ],
)
def test_an_exception_has_its_reason_and_keeps_its_text(
    error: BaseException, reason: Reason
) -> None:
    failure = from_exception(error, reached=Reached.MAYBE)
    assert failure.reason is reason
    assert "s3cret" not in str(failure)


def test_subclasses_stand_above_what_they_derive_from() -> None:
    kinds = [kind for kind, _, _ in EXCEPTIONS]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, above) for above in kinds[:place]), kind


def test_a_link_that_was_refused_says_why() -> None:
    lost = LinkLost()
    lost.__cause__ = nats.errors.AuthorizationError()
    assert from_exception(lost).reason is Reason.UPSTREAM_CREDENTIALS_REJECTED


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (PullEnded(""), Reason.UPSTREAM_TIMEOUT),
        (PullEnded("503"), Reason.UPSTREAM_PRECONDITION),
        (PullEnded("409"), Reason.UPSTREAM_UNAVAILABLE),
        (LinkLost(), Reason.UPSTREAM_UNAVAILABLE),
    ],
)
def test_the_end_of_a_reader_has_its_reason_and_cause(
    fault: LinkLost | PullEnded, reason: Reason
) -> None:
    failure = from_fault(fault)
    assert (failure.reason, failure.__cause__) == (reason, fault)
    with pytest.raises(NotConnected) as told:
        check(None, fault)
    assert told.value.failure.reason is reason


def test_the_first_cause_is_the_one_that_is_told() -> None:
    check(None, None)
    mine = Failure(Reason.UPSTREAM_TRUNCATED, "lost some")
    with pytest.raises(NotConnected) as told:
        check(mine, PullEnded(""))
    assert told.value.failure is mine


@pytest.mark.parametrize("code", sorted(API_CODES))
def test_a_listed_code_of_the_server_has_its_reason(code: int) -> None:
    failure = from_api({"code": 400, "err_code": code, "description": SECRET})
    assert (failure.reason, failure.message) == API_CODES[code]
    assert failure.reached is Reached.REPLIED
    assert failure.context == {"upstream_status": "400"}


def test_other_codes_are_told_apart_by_their_class() -> None:
    busy, refused = from_api({"code": 503}), from_api({"code": 400, "err_code": 1})
    assert (busy.reason, busy.disposition) == (Reason.UPSTREAM_UNAVAILABLE, Disposition.TEMPORARY)
    assert refused.reason is Reason.UPSTREAM_REJECTED
    assert from_api({}).reason is Reason.UPSTREAM_REJECTED
    assert from_api({"code": "x"}).reason is Reason.UPSTREAM_REJECTED
