"""The table of the wire's errors."""

from __future__ import annotations

import errno
import ssl
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import http_exceptions

from interlaced.core.failure import Reached, Reason
from interlaced.core.model import Effort
from interlaced.transport.http_errors import harmless, translate
from interlaced.transport.wire_errors import EgressRefusedError

KEY = cast("Any", SimpleNamespace(host="h", port=1, ssl=True, is_ssl=True))


def connect(error: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, error)


def response_error() -> aiohttp.ClientResponseError:
    return aiohttp.ClientResponseError(cast("Any", SimpleNamespace(real_url="http://h/?key=s")), ())


CASES: list[tuple[BaseException, Reason, Reached]] = [
    (connect(ConnectionRefusedError()), Reason.UPSTREAM_CONNECT, Reached.NOT_SENT),
    (connect(EgressRefusedError()), Reason.EGRESS_DENIED, Reached.NOT_SENT),
    (connect(OSError(errno.EMFILE, "")), Reason.OVERLOADED, Reached.NOT_SENT),
    (connect(OSError(errno.EHOSTUNREACH, "")), Reason.UPSTREAM_CONNECT, Reached.NOT_SENT),
    (aiohttp.ClientConnectorDNSError(KEY, OSError()), Reason.UPSTREAM_CONNECT, Reached.NOT_SENT),
    (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError()), Reason.UPSTREAM_TLS, Reached.NOT_SENT),
    (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError()),
        Reason.UPSTREAM_TLS,
        Reached.NOT_SENT,
    ),
    (aiohttp.ConnectionTimeoutError(), Reason.UPSTREAM_CONNECT, Reached.NOT_SENT),
    (aiohttp.InvalidURL("http://127.1"), Reason.EGRESS_DENIED, Reached.NOT_SENT),
    (aiohttp.ClientPayloadError(), Reason.UPSTREAM_TRUNCATED, Reached.MAYBE),
    (aiohttp.ServerDisconnectedError(), Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    (aiohttp.ClientOSError(errno.ECONNRESET, ""), Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    (aiohttp.ClientConnectionResetError(), Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    (BrokenPipeError(), Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    (response_error(), Reason.UPSTREAM_MALFORMED, Reached.MAYBE),
    (http_exceptions.BadStatusLine("x"), Reason.UPSTREAM_MALFORMED, Reached.MAYBE),
    (http_exceptions.LineTooLong(b"x", 8190), Reason.TOO_LARGE, Reached.MAYBE),
    (http_exceptions.BadHttpMessage("Too many headers"), Reason.TOO_LARGE, Reached.MAYBE),
    (aiohttp.ClientError(), Reason.UPSTREAM_MALFORMED, Reached.MAYBE),
]


@pytest.mark.parametrize(
    ("error", "reason", "reached"), CASES, ids=lambda case: type(case).__name__
)
def test_every_error_of_the_wire_has_its_line(
    error: BaseException, reason: Reason, reached: Reached
) -> None:
    failure = translate(error, Effort(0.0, reached=Reached.MAYBE))
    assert (failure.reason, failure.reached) == (reason, reached)


def test_an_error_that_is_none_of_the_wires_is_a_bug() -> None:
    with pytest.raises(TypeError):
        translate(KeyError(), Effort(0.0))


def test_a_refused_client_certificate_is_a_matter_of_tls() -> None:
    inner = ssl.SSLError(1, "alert")
    inner.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    error = aiohttp.ClientOSError()
    error.__cause__ = inner
    failure = translate(error, Effort(0.0, reached=Reached.MAYBE))
    assert (failure.reason, failure.reached) == (Reason.UPSTREAM_TLS, Reached.NOT_SENT)
    inner.reason = "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    assert translate(error, Effort(0.0, reached=Reached.MAYBE)).reached is Reached.MAYBE


def test_what_would_print_an_address_is_no_cause() -> None:
    error = response_error()
    assert "key=s" in str(error) + repr(error)
    assert "key=s" not in str(harmless(error)) + repr(harmless(error))
    error.__cause__ = http_exceptions.BadStatusLine("x")
    assert harmless(error) is error.__cause__
    assert "key=s" not in repr(harmless(aiohttp.InvalidURL("http://127.1/?key=s")))
    lost = aiohttp.ServerDisconnectedError()
    assert harmless(lost) is lost
