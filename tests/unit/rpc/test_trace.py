from __future__ import annotations

import pytest

from interlaced.rpc.trace import tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_traceparent_becomes_the_names_of_the_log_model() -> None:
    assert tracing({"traceparent": f"00-{TRACE}-{SPAN}-01"}) == {
        "trace_id": TRACE,
        "span_id": SPAN,
        "trace_flags": "01",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01x",
        f"x00-{TRACE}-{SPAN}-01",
    ],
)
def test_a_wrong_one_is_as_good_as_none(text: str) -> None:
    assert tracing({"traceparent": text}) == {}
