"""The log's sink: names, one record per event, and secrets that cannot be printed (P49, T14)."""

from __future__ import annotations

import contextvars
import io
import json
import logging

import pytest
import structlog

from interlaced.core.secret import Secret
from interlaced.telemetry import log as telemetry


@pytest.fixture
def lines():
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    telemetry.configure(style="json", level="debug", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()  # or what runs later would log elsewhere than it expects


def test_a_record_has_the_names_of_the_open_telemetry_log_model(lines) -> None:
    telemetry.log.info("feed.gap", connector="ticks")
    (record,) = lines()
    assert record["severity_text"] == "INFO"
    assert record["severity_number"] == 9
    assert record["event_name"] == "feed.gap"
    assert record["interlace.connector"] == "ticks"
    assert record["service.name"] == "interlace"
    assert record["timestamp"].endswith("Z")


def test_p49_a_learnt_secret_is_masked_in_every_form_and_field(lines) -> None:
    telemetry.learn_secrets([Secret("canary/4711 value")])
    try:
        raise ValueError("Authorization: canary/4711 value")
    except ValueError as error:
        telemetry.log.error("rpc.failed", exc_info=error, url="http://x/?k=canary%2F4711%20value")
    telemetry.log.info(
        "a sentence with Y2FuYXJ5LzQ3MTEgdmFsdWU= inside", nested={"list": ["canary/4711 value"]}
    )
    logging.getLogger("some.library").warning("got %s", "canary/4711 value")
    text = json.dumps(lines())
    assert len(lines()) == 3
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text
    assert "ValueError" in text


def test_a_secret_object_and_a_telling_field_name_are_masked(lines) -> None:
    telemetry.log.info(
        "auth.sent", value=Secret("abcdef"), api_key="zzzz", header="Bearer abc.def.ghi"
    )
    (record,) = lines()
    assert record["value"] == "***"
    assert record["api_key"] == "***"
    assert record["header"] == "Bearer ***"


def test_t14_a_record_stays_one_line_without_terminal_escapes(lines) -> None:
    telemetry.log.info("rpc.failed", field="a\nb\x1b[31m\u202e" + "x" * 20_000)
    (record,) = lines()
    assert "\x1b" not in record["field"]
    assert "\u202e" not in record["field"]
    assert record["field"].endswith("characters cut)")


def test_bound_fields_are_in_every_record_of_their_context_and_no_other(lines) -> None:
    def serve() -> None:
        telemetry.bind(request_id="r-1")
        telemetry.log.info("rpc.done")

    contextvars.Context().run(serve)
    telemetry.log.info("rpc.done")
    first, second = lines()
    assert first["request_id"] == "r-1"
    assert "request_id" not in second


def test_the_console_style_writes_for_people() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        telemetry.configure(style="console", level="info", stream=stream)
        telemetry.log.info("server.started", port=7070)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
    assert "server.started" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_fields_of_the_process_are_in_records_of_every_context(lines) -> None:
    """A feed's pump runs in a context of its own, and its records name the worker all the same."""
    stream = io.StringIO()
    telemetry.configure(stream=stream, fields={"worker": 1})

    def in_another() -> None:
        telemetry.bind(request_id="r-1")
        telemetry.log.info("room.told")

    contextvars.Context().run(in_another)
    contextvars.Context().run(telemetry.log.info, "room.told")
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["interlace.worker"] for record in records] == [1, 1]
    assert [record.get("request_id") for record in records] == ["r-1", None]
