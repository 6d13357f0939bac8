"""Runs of the benchmarks that nobody measured: whole, plausible, and the same every time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.codecs.converting import CONVERTING, PLAIN
from benchmarks.codecs.shapes import SHAPES
from benchmarks.harness.results import (
    BASELINE,
    INTERLACE,
    SCHEMA,
    Case,
    Interval,
    Run,
    Sample,
    VariantValue,
)
from benchmarks.harness.stats import paired_ratio

MACHINE: Mapping[str, Any] = {
    "cpu": "A CPU of two cores",
    "cores": 2,
    "given": {"server": [0], "load": [1]},
    "kernel": "Linux-6.1",
    "python": "CPython 3.11.7",
    "libraries": {"grpcio": "1.78.2", "protobuf": "6.33.5"},
    "commit": "0123456789ab",
    "load_before": [0.1, 0.2, 0.3],
}
LIBRARIES = {
    "json": (1.0, 1.5),
    "orjson": (0.18, 1.5),
    "msgspec-json": (0.15, 1.5),
    "msgpack": (0.5, 1.25),
    "ormsgpack": (0.17, 1.25),
    "msgspec-msgpack": (0.14, 1.22),
    "protobuf-upb": (0.45, 1.0),
    "protobuf-py": (0.9, 1.0),
}
SIZES = (60, 480, 4_000, 2_200, 410_000, 11_000, 100_000, 100_000, 8_000, 300)
"""Bytes of each of the ten shapes, in their order."""


def pair(
    scenario: str,
    variant: Mapping[str, VariantValue],
    ours: float,
    theirs: float,
    *,
    key: str = "cpu_us_per_call",
    more: Mapping[str, float] | None = None,
    beside: str = BASELINE,
) -> Case:
    """A case of both sides in eight windows around two middles, with its ratio."""
    chance = random.Random(f"{scenario}{sorted(variant.items())}")
    rest = {"p50_ms": 1.2, "p99_ms": 3.4, "p999_ms": 8.1, "rss_mb": 88.0, "errors": 0.0}
    rest["calls"] = 12_000.0
    samples, found = [], {INTERLACE: [], beside: []}
    for _ in range(8):
        for side, middle in ((INTERLACE, ours), (beside, theirs)):
            value = middle * chance.gauss(1, 0.03)
            found[side].append(value)
            samples.append(Sample(side, {key: value, **rest, **(more or {})}))
    ratio = paired_ratio(found[INTERLACE], found[beside])
    return Case("service", scenario, dict(variant), key, tuple(samples), ratio)


def service_run(*, call: float = 160.0) -> Run:
    """A run of the service; `call` is Interlace's CPU-µs per call, the baseline's being 360."""
    cases = [pair("call", {}, call, 360)]
    cases += [
        pair("fanout", {"width": width}, 140 + 27 * width, 230 + 96 * width)
        for width in (1, 4, 8, 16, 32)
    ]
    cases.append(pair("slow_branch", {"width": 8, "slow_ms": 500}, 380, 1_010))
    cases += [
        pair("session", {"in_flight": count}, 52 + 120 / count, 355 + 50 / count)
        for count in (1, 16, 64, 256)
    ]
    cases += [_fed(n) for n in (1, 10, 100, 1_000)]
    cases.append(
        pair("idle_subscriber", {"subscribers": 1_000}, 26.0, 22.0, key="kb_per_subscriber")
    )
    cases += [_swept(rate) for rate in range(500, 6_001, 500)]
    cases.append(pair("overload", {"percent": 150}, 190, 420, more={"errors": 3.0}))
    costs = {"deadline": 1.01, "retry": 1.02, "breaker": 1.03, "all": 1.09}
    cases += [
        pair("policies", {"on": name}, 360 * cost, 360, beside="policies_off")
        for name, cost in costs.items()
    ]
    cases += [
        pair("payload", {"format": name, "kb": size}, 150 + size * 2, 340 + size * 3)
        for name in ("protobuf", "msgpack", "json")
        for size in (1, 10, 100, 1_000)
    ]
    cases += [pair("tls", {"tls": on}, 170 + 30 * on, 370 + 30 * on) for on in (0, 1)]
    cases += [
        pair("workers", {"workers": 2}, 171, 160, beside="one_worker"),
        pair("boot", {}, 900, 520, key="cpu_ms", beside="imports_only"),
    ]
    return Run(SCHEMA, "service", "2026-11-22T10:00:00+00:00", MACHINE, "make bench", tuple(cases))


def _fed(subscribers: int) -> Case:
    """A feed at saturation: what is charged is an event at one subscriber, and rates are beside."""
    ours, theirs = 1.0 + 20 / subscribers, 26.0
    case = pair("subscribe", {"subscribers": subscribers}, ours, theirs)
    samples = tuple(
        Sample(one.side, {**one.values, "rate": 0.9e6 / one.values["cpu_us_per_call"]})
        for one in case.samples
    )
    return Case(case.suite, case.scenario, case.variant, case.unit, samples, case.ratio)


def _swept(rate: int) -> Case:
    """One rate of the open loop; the baseline bends at half of Interlace's."""
    samples = []
    for side, most in ((INTERLACE, 5_200), (BASELINE, 2_700)):
        queue = 1 / max(0.015, 1 - rate / most)
        times = {"p50_ms": 0.5 * queue**0.7, "p99_ms": 1.1 * queue, "p999_ms": 2.4 * queue**1.2}
        answered = {"rate": min(rate, most), "calls": 2.0 * min(rate, most), "errors": 0.0}
        samples.append(Sample(side, {**times, **answered}))
    return Case("service", "sweep", {"rate": rate}, "p99_ms", tuple(samples))


def codecs_run(*, faster: float = 15.0) -> Run:
    """A run of the codecs; `faster` is how many times as fast as json_format transcoding is."""
    cases = []
    actions = {"build": 0.5, "encode": 0.6, "decode": 1.0, "decode_touch": 1.3, "round_trip": 2.4}
    for shape, size in zip(SHAPES, SIZES, strict=True):
        for action, cost in actions.items():
            times = {name: size / 40 * cost * speed for name, (speed, _) in LIBRARIES.items()}
            cases.append(_timed(action, {"shape": shape, "tier": "untyped"}, times))
        sizes = tuple(
            Sample(name, {"raw": int(size * wide), "gzip": size * 0.4, "zstd": size * 0.42})
            for name, (_, wide) in LIBRARIES.items()
        )
        cases.append(Case("codecs", "size", {"shape": shape}, "raw", sizes))
    for direction in ("json_to_protobuf", "protobuf_to_json"):
        for fields, shapes in (("plain", PLAIN), ("converting", CONVERTING)):
            cases += [_transcoded(direction, shape, fields, faster) for shape in shapes]
    return Run(SCHEMA, "codecs", "2026-11-22T10:03:00+00:00", MACHINE, "make bench", tuple(cases))


def _timed(scenario: str, variant: Mapping[str, VariantValue], times: Mapping[str, float]) -> Case:
    samples = tuple(
        Sample(name, {"cpu_us_per_call": took * wobble})
        for name, took in times.items()
        for wobble in (0.98, 1.0, 1.03)
    )
    return Case("codecs", scenario, dict(variant), "cpu_us_per_call", samples)


def _transcoded(direction: str, shape: str, fields: str, faster: float) -> Case:
    oracle = "json_format indented" if direction == "protobuf_to_json" else "json_format"
    variant = {"direction": direction, "shape": shape, "fields": fields, "oracle": oracle}
    case = _timed("transcode", variant, {INTERLACE: 70.0, "json_format": 70.0 * faster})
    ratio = Interval(faster * 0.97, faster, faster * 1.03)
    return Case(case.suite, case.scenario, variant, case.unit, case.samples, ratio)


def without(run: Run, scenarios: Sequence[str]) -> Run:
    """The same run, some scenarios left out."""
    kept = tuple(case for case in run.cases if case.scenario not in scenarios)
    return Run(run.schema, run.kind, run.started, run.machine, run.command, kept)
