"""The cases of one shape: open the libraries, prove equal content, measure, and write it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.codecs.codec import (
    DOCUMENT,
    SCHEMA,
    Codec,
    UnequalContentError,
    assert_equal_content,
)
from benchmarks.codecs.libraries import Library, load
from benchmarks.codecs.memory import NoPeakError, blocks_of, peak_of
from benchmarks.codecs.plan import Effort
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.sizes import sizes_of
from benchmarks.codecs.timed import time_actions
from benchmarks.harness.results import Case, Sample

__all__ = ["REFUSED", "UNAVAILABLE", "Opened", "matrix_cases", "memory_case", "open_all"]

REFUSED = "refused"
UNAVAILABLE = "unavailable"
Load = Callable[[str], Library]


@dataclass(frozen=True, slots=True)
class Opened:
    """The libraries that carry the content of one shape, and a case for each that does not."""

    codecs: dict[str, Codec] = field(default_factory=dict)
    without: list[Case] = field(default_factory=list)


def open_all(names: Sequence[str], shape: Shape, load_library: Load = load) -> Opened:
    """Open each library for `shape`; one that is not installed, or not equal, is left out aloud."""
    opened = Opened()
    for name in names:
        try:
            library = load_library(name)
        except ImportError as error:
            opened.without.append(_without(UNAVAILABLE, name, shape, f"{name}: {error}"))
            continue
        if (SCHEMA if shape.message else DOCUMENT) not in library.TAKES:
            continue
        codec = library.open_codec(shape)
        try:
            assert_equal_content(name, codec, shape)
        except UnequalContentError as error:
            opened.without.append(_without(REFUSED, name, shape, str(error)))
        else:
            opened.codecs[name] = codec
    return opened


def matrix_cases(
    names: Sequence[str], shape: Shape, effort: Effort, load_library: Load = load
) -> list[Case]:
    """Return sizes, allocations and times of `shape` for every library in `names`."""
    opened = open_all(names, shape, load_library)
    codecs = opened.codecs
    cases = list(opened.without)
    if not codecs:
        return cases
    raw = {name: codec.encode(codec.value(shape.data)) for name, codec in codecs.items()}
    blocks = {name: blocks_of(codec, shape.data) for name, codec in codecs.items()}
    cases.append(_case("size", shape, "bytes", {n: [sizes_of(one)] for n, one in raw.items()}))
    cases.append(_case("allocations", shape, "blocks", {n: [one] for n, one in blocks.items()}))
    for action, found in time_actions(codecs, shape, effort).items():
        for tier in sorted({_tier(codecs[name], action) for name in found}):
            samples = {
                name: [{"cpu_us_per_call": one * 1e6} for one in values]
                for name, values in found.items()
                if _tier(codecs[name], action) == tier
            }
            cases.append(_case(action, shape, "cpu_us_per_call", samples, tier=tier))
    return cases


def memory_case(name: str, shape: Shape, action: str, load_library: Load = load) -> list[Case]:
    """Return the peak memory of one action of one library, measured in this very process."""
    opened = open_all([name], shape, load_library)
    if name not in opened.codecs:
        return []  # The matrix of this shape says why.
    try:
        peak = peak_of(opened.codecs[name], action, shape.data)
    except NoPeakError as error:
        return [_without(UNAVAILABLE, name, shape, f"memory: {error}")]
    return [_case("memory", shape, "bytes", {name: [peak]}, action=action)]


def _tier(codec: Codec, action: str) -> str:
    return "typed and validated" if action == "decode_validate" else codec.tier


def _case(
    scenario: str,
    shape: Shape,
    unit: str,
    samples: Mapping[str, Sequence[Mapping[str, float]]],
    **variant: str,
) -> Case:
    return Case(
        suite="codecs",
        scenario=scenario,
        variant={"shape": shape.name, **variant},
        unit=unit,
        samples=tuple(Sample(side, one) for side, values in samples.items() for one in values),
    )


def _without(scenario: str, name: str, shape: Shape, reason: str) -> Case:
    variant = {"library": name, "shape": shape.name, "content": shape.message or DOCUMENT}
    return Case("codecs", scenario, variant, "", notes=(reason,))
