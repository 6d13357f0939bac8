"""The one exception class."""

from __future__ import annotations

import pytest

from interlaced.core.failure import (
    DEFAULTS,
    Disposition,
    EndOfFeed,
    Failure,
    Kind,
    NotConnected,
    Reached,
    Reason,
)
from interlaced.core.secret import Secret


def test_every_reason_has_a_kind_and_a_disposition() -> None:
    assert set(DEFAULTS) == set(Reason)


def test_a_failure_takes_its_kind_from_its_reason() -> None:
    failure = Failure(Reason.UPSTREAM_TIMEOUT, "no answer in time", reached=Reached.MAYBE)
    assert failure.kind is Kind.TIMEOUT
    assert failure.disposition is Disposition.TEMPORARY
    assert failure.message == "no answer in time"
    assert failure.operation == ""


def test_a_copy_keeps_the_cause_and_adds_context() -> None:
    cause = OSError("reset")
    try:
        raise Failure(Reason.UPSTREAM_UNAVAILABLE, "lost", upstream_status="503") from cause
    except Failure as failure:
        copy = failure.but(disposition=Disposition.PERSISTENT, operation="a.b", attempts="3")
    assert copy.__cause__ is cause
    assert copy.context == {"upstream_status": "503", "attempts": "3"}
    assert (copy.disposition, copy.operation) == (Disposition.PERSISTENT, "a.b")
    assert copy.reason is Reason.UPSTREAM_UNAVAILABLE


def test_the_context_cannot_hold_a_secret() -> None:
    with pytest.raises(TypeError, match="plain text"):
        Failure(Reason.INTERNAL_ERROR, "x", token=Secret("s"))  # type: ignore[arg-type]


def test_the_states_of_a_connection_are_no_failures() -> None:
    failure = Failure(Reason.UPSTREAM_CONNECT, "cannot be reached")
    assert NotConnected(failure).failure is failure
    assert not issubclass(EndOfFeed, Failure)
