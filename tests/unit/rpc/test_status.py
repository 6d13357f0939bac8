from __future__ import annotations

import re

import grpc
import pytest
from google.rpc import error_details_pb2

from interlace.v1 import error_reason_pb2
from interlaced.core.failure import (
    DEFAULTS,
    Disposition,
    Failure,
    FieldViolation,
    Reached,
    Reason,
)
from interlaced.rpc.status import CODES, DOMAIN, code_of, pushback_ms, to_status

PREFIX = "ERROR_REASON_"


def test_the_proto_the_core_and_the_table_know_the_same_reasons() -> None:
    """API.md section 6, read in both directions."""
    proto = {name.removeprefix(PREFIX) for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118  # an enum wrapper is not a mapping
    assert proto - {"UNSPECIFIED"} == {reason.value for reason in Reason}
    assert set(CODES) == set(Reason) == set(DEFAULTS)


def test_the_proto_s_comments_say_the_same_codes() -> None:
    """The table that callers read, which is the comment of each value, is this table."""
    from pathlib import Path

    here = Path(__file__).parents[3] / "protos/interlace/v1/error_reason.proto"
    pairs = re.findall(r"// ([A-Z_]+): [^\n]*\n\s+ERROR_REASON_([A-Z_]+) =", here.read_text())
    assert len(pairs) == len(Reason)
    for code, reason in pairs:
        assert CODES[Reason(reason)].name == code


@pytest.mark.parametrize("reason", list(Reason))
def test_every_status_has_exactly_one_error_info(reason: Reason) -> None:
    failure = Failure(reason, "a fixed text", reached=Reached.MAYBE, limit="4").but(
        operation="shop.Get", attempts="2"
    )
    status = to_status(failure)
    assert status.code == CODES[reason].value[0]
    assert len(status.details) == 1
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason.value, DOMAIN)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+[A-Z0-9]", info.reason)
    assert dict(info.metadata) == {
        "connector": "shop",
        "operation": "Get",
        "attempts": "2",
        "reached": "maybe",
        "disposition": failure.disposition.value,
        "limit": "4",
    }


def test_special_codes() -> None:
    exists = Failure(Reason.UPSTREAM_CONFLICT, "there", creates="true")
    assert code_of(exists) is grpc.StatusCode.ALREADY_EXISTS
    late = Failure(Reason.POLICY_NOT_MET, "late", decided_by="deadline")
    assert code_of(late) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert code_of(Failure(Reason.POLICY_NOT_MET, "no")) is grpc.StatusCode.ABORTED


def test_hints_are_there_where_they_are_known() -> None:
    fields = (FieldViolation("call.connector", "must not be empty"),)
    status = to_status(Failure(Reason.RATE_LIMITED, "later", retry_after=1.25, fields=fields))
    retry, request = error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1250
    assert status.details[2].Unpack(request)
    assert request.field_violations[0].field == "call.connector"


def test_details_stay_small() -> None:
    fields = tuple(FieldViolation(f"f[{number}]", "wrong") for number in range(1000))
    status = to_status(Failure(Reason.INVALID_REQUEST, "wrong", fields=fields, long="x" * 9999))
    assert status.ByteSize() < 4096


@pytest.mark.parametrize(
    ("disposition", "attempts", "retry_after", "expected"),
    [
        (Disposition.TEMPORARY, "1", 1.5, "1500"),
        (Disposition.TEMPORARY, "1", None, None),
        (Disposition.PERSISTENT, "3", 1.5, "-1"),
        (Disposition.PERSISTENT, "3", None, "-1"),
        (Disposition.PERSISTENT, "2", None, "-1"),
        (Disposition.PERSISTENT, "1", 60.0, "60000"),  # tried once: the retry is the caller's
        (Disposition.PERSISTENT, "1", None, None),
        (Disposition.PERSISTENT, "0", 2.0, "2000"),
        (Disposition.PERSISTENT, "0", None, None),
        (Disposition.PERMANENT, "1", 1.0, None),
    ],
)
def test_pushback(
    disposition: Disposition, attempts: str, retry_after: float | None, expected: str | None
) -> None:
    failure = Failure(
        Reason.UPSTREAM_UNAVAILABLE, "away", disposition=disposition, retry_after=retry_after
    )
    assert pushback_ms(failure.but(attempts=attempts)) == expected
