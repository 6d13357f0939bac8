"""Payloads of four sizes in three media types on the whole hot path, and TLS."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # it ships no types

from benchmarks.harness.results import Case
from benchmarks.load.bodies import MEDIA_TYPES, body
from benchmarks.load.mirror import PACKED, document
from benchmarks.service import requests
from benchmarks.service.calls import Shot, closed
from benchmarks.service.certificates import NoOpensslError, make_certificates
from benchmarks.service.manifests import SIZES
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Certificates, rig, start_baseline, start_interlace
from interlace.v1.payload_pb2 import Payload

__all__ = ["both_ways", "payload", "tls"]

IN_FLIGHT = 8
"""Of 1,000 kB each: more would measure the memory of the machine."""
QUICK_SIZES = ("10",)
THROUGH = "json_through_msgpack"
"""JSON for the caller, MessagePack for the upstream, both ways."""


async def payload(plan: Plan) -> list[Case]:
    """Bodies passed on as they are and JSON that becomes MessagePack on its way: of answers alone,
    and of requests and answers, where an upstream checks what it is sent byte for byte."""
    sizes = QUICK_SIZES if plan.is_quick else tuple(SIZES)
    answers = [_answer(kind, size) for kind in (*MEDIA_TYPES, "json_to_msgpack") for size in sizes]
    both = [both_ways(kind, size) for kind in (*MEDIA_TYPES, THROUGH) for size in sizes]
    cases = []
    for upstream, shots in (("upstream", answers), ("mirror", both)):
        with (
            rig(plan.cores, upstream=f"benchmarks.load.{upstream}") as place,
            start_interlace(place),
            start_baseline(place),
        ):
            cases += [await closed(place, shot, plan) for shot in shots]
    return cases


def both_ways(kind: str, name: str) -> Shot:
    """Return the shot that sends a body and gets it back."""
    source, target = ("json", PACKED) if kind == THROUGH else (kind, kind)
    content, media_type = document(source, SIZES[name])
    request = requests.call(
        f"Post{target.capitalize()}{name}",
        expected=content,
        accept=[media_type] if source != target else [],
        payload=Payload(media_type=media_type, data=content),
    )
    variant: dict[str, str | int | float] = {"kind": kind, "kb": int(name), "way": "both"}
    return Shot(request=request, scenario="payload", variant=variant, in_flight=IN_FLIGHT)


def _answer(kind: str, name: str) -> Shot:
    source = kind.partition("_")[0]
    expected = body(source, SIZES[name])
    accept = []
    if kind == "json_to_msgpack":
        expected = msgpack.packb(json.loads(expected))
        accept = [MEDIA_TYPES["msgpack"]]
    request = requests.call(f"{source.capitalize()}{name}", expected=expected, accept=accept)
    variant: dict[str, str | int | float] = {"kind": kind, "kb": int(name)}
    return Shot(request=request, scenario="payload", variant=variant, in_flight=IN_FLIGHT)


async def tls(plan: Plan) -> list[Case]:
    """Call without TLS, and with TLS on both legs."""
    cases = [await _tls(plan, None)]
    with tempfile.TemporaryDirectory(prefix="interlace-bench-") as folder:
        try:
            cases.append(await _tls(plan, make_certificates(Path(folder))))
        except NoOpensslError as error:
            note = (str(error),)
            cases.append(Case("service", "tls", {"tls": "on"}, "cpu_us_per_call", notes=note))
    return cases


async def _tls(plan: Plan, certificates: Certificates | None) -> Case:
    with (
        rig(plan.cores, certificates=certificates) as place,
        start_interlace(place),
        start_baseline(place),
    ):
        shot = Shot(
            request=requests.call(),
            scenario="tls",
            variant={"tls": "on" if certificates else "off"},
            in_flight=32,
        )
        return await closed(place, shot, plan)
