from __future__ import annotations

import asyncio

import pytest
import structlog

from interlaced.core.model import Call, Effort, Payload, Reply
from interlaced.rpc.trace import traced, tracing

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


async def test_each_call_has_its_own() -> None:
    seen: list[str] = []

    async def perform(_call: Call) -> Reply:
        await asyncio.sleep(0)
        seen.append(structlog.contextvars.get_contextvars().get("trace_id", ""))
        return Reply(Payload("text/plain", b""))

    def call(metadata: dict[str, str]) -> Call:
        effort = Effort(0.0)
        return Call(deadline=1.0, effort=effort, connector="c", operation="o", metadata=metadata)

    handler = traced(perform)
    one, other = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE[::-1]}-{SPAN}-01"
    await asyncio.gather(*(handler(call({"traceparent": each})) for each in (one, other)))
    await asyncio.gather(handler(call({})))
    assert seen == [TRACE, TRACE[::-1], ""]
