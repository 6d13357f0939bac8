"""Payloads of four sizes in three media types on the whole hot path, and TLS."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # it ships no types

from benchmarks.harness.results import Case
from benchmarks.load.bodies import MEDIA_TYPES, body
from benchmarks.service import requests
from benchmarks.service.calls import Shot, closed
from benchmarks.service.certificates import NoOpensslError, make_certificates
from benchmarks.service.manifests import SIZES
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Certificates, rig, start_baseline, start_interlace

__all__ = ["payload", "tls"]

IN_FLIGHT = 8
"""Of 1,000 kB each: more would measure the memory of the machine."""


async def payload(plan: Plan) -> list[Case]:
    """Bodies passed on as they are, and JSON that becomes MessagePack on its way."""
    cases = []
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        for kind in (*MEDIA_TYPES, "json_to_msgpack"):
            for name in SIZES:
                shot = _shot(kind, name)
                cases.append(await closed(place, shot, plan))
    return cases


def _shot(kind: str, name: str) -> Shot:
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
