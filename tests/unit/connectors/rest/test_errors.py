"""What statuses mean, and the rules that know better."""

from __future__ import annotations

from typing import Any

import pytest
from rest_rig import make_config

from interlaced.connectors.rest.errors import compile_rules, failure_of
from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.testing.connector_suite import STATUSES
from interlaced.transport.http import HttpResponse


def judge(errors: dict[int, Any], status: int, body: bytes = b"{}") -> Failure | None:
    config = make_config("http://a", {"Op": {"get": "/a", "errors": errors}})
    return compile_rules(config.operations["Op"].errors)(HttpResponse(status, {}, body), 0.0)


@pytest.mark.parametrize("status", STATUSES)
def test_the_table(status: int) -> None:
    failure = failure_of(HttpResponse(status, {}, b""), 0.0)
    assert failure is not None
    assert (failure.reason, failure.disposition, failure.reached) == STATUSES[status]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_good_statuses_are_no_failures(status: int) -> None:
    assert failure_of(HttpResponse(status, {}, b""), 0.0) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304, 600, 999])
def test_a_redirect_and_what_is_no_status_are_malformed(status: int) -> None:
    """T3: nothing is followed, and after a redirect nobody knows what was done."""
    failure = failure_of(HttpResponse(status, {"location": "http://canary"}, b""), 0.0)
    assert failure is not None
    assert (failure.reason, failure.reached) == (Reason.UPSTREAM_MALFORMED, Reached.MAYBE)
    assert failure.context == {"upstream_status": str(status)}


def test_waits_are_read_against_the_time_of_day() -> None:
    """F8: a date, and seconds."""
    at = {"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}
    for status in (429, 503):
        failure = failure_of(HttpResponse(status, at, b""), 70.0)
        assert failure is not None
        assert failure.retry_after == 30.0
    other = failure_of(HttpResponse(404, {"retry-after": "5"}, b""), 0.0)
    assert other is not None
    assert other.retry_after is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "9999999"}, 3600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "5, 7"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon", "ratelimit": '"default";r=0;t=30'}, 30.0),
        ({"ratelimit": '"default";r=5;t=30'}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000010"}, 10.0),
        ({"x-ratelimit-reset": "10"}, 10.0),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_waits_that_upstreams_name(
    status: int, headers: dict[str, str], wait: float | None
) -> None:
    """F8, P17: seconds, dates, garbage, the past, and the fields of rate limits."""
    failure = failure_of(HttpResponse(status, headers, b""), 1_700_000_000.0)
    assert failure is not None
    assert failure.retry_after == wait


def test_a_rule_overrides_a_status() -> None:
    failure = judge({404: {"reason": "UPSTREAM_FAILED", "disposition": "temporary"}}, 404)
    assert failure is not None
    assert (failure.reason, failure.disposition) == (Reason.UPSTREAM_FAILED, Disposition.TEMPORARY)
    assert failure.reached is Reached.REPLIED
    other = judge({404: {"reason": "UPSTREAM_FAILED"}}, 410)
    assert other is not None
    assert other.reason is Reason.UPSTREAM_NOT_FOUND


def test_the_first_rule_whose_body_fits_wins() -> None:
    rules = {
        403: [
            {"reason": "UPSTREAM_RATE_LIMITED", "when": {"$.error.code": "quota"}},
            {"reason": "UPSTREAM_PRECONDITION", "when": {"$.error.code": 7, "$.ok": False}},
        ]
    }
    for body, reason in (
        (b'{"error": {"code": "quota"}}', Reason.UPSTREAM_RATE_LIMITED),
        (b'{"error": {"code": 7}, "ok": false}', Reason.UPSTREAM_PRECONDITION),
        (b'{"error": {"code": 7}, "ok": 0}', Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (b'{"error": {"code": true}, "ok": false}', Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (b"<html>", Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (b'{"error": {"code": 0e99999999999999999999}}', Reason.UPSTREAM_CREDENTIALS_REJECTED),
    ):
        failure = judge(rules, 403, body)
        assert failure is not None
        assert failure.reason is reason


def test_a_good_status_can_be_a_failure() -> None:
    rules = {200: {"reason": "UPSTREAM_REJECTED", "when": {"$.ok": False}}}
    assert judge(rules, 200, b'{"ok": true}') is None
    failure = judge(rules, 200, b'{"ok": false}')
    assert failure is not None
    assert (failure.reason, failure.reached) == (Reason.UPSTREAM_REJECTED, Reached.REPLIED)
