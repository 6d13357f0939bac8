"""The sections about serialization: size against speed, the matrix, sizes, memory, transcoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from benchmarks.figures import main_key, middle, sides
from benchmarks.harness.results import Case
from benchmarks.report.conditions import LIBRARY
from benchmarks.report.data import NOT_MEASURED, Results, interval_text, with_iqr
from benchmarks.report.markup import (
    Cell,
    Safe,
    escape,
    figure,
    folded,
    paragraph,
    section,
    strong,
    table,
)
from benchmarks.report.measured import counted, interval_of_median
from benchmarks.report.plot import Point, points
from benchmarks.report.scale import Axis, number
from benchmarks.report.wording import DASH, plain, side_name

__all__ = ["codec_sections", "frontier"]

STAGES: Mapping[str, str] = {
    "build": "Build from plain data",
    "encode": "Encode what is built",
    "decode": "Decode",
    "decode_touch": "Decode and touch every field",
    "decode_validate": "Decode and validate",
    "round_trip": "There and back: build, encode, decode, touch",
}
_KEYS: Mapping[str, str] = {
    "raw": "raw, bytes",
    "gzip": "gzip, bytes",
    "zstd": "zstd, bytes",
    "peak_bytes_per_value": "growth of the peak per value, bytes, a process per case",
    "rss_mb": "resident set at the peak, MB",
    "encode": "per encoded value",
    "decode": "per decoded value",
}


_LEFT_OUT = ("values",)
"""How often it was done, which the raw data has."""
WAYS: Mapping[str, str] = {
    "json_to_protobuf": "JSON to protobuf",
    "protobuf_to_json": "Protobuf to JSON",
    "hot_path": "The whole way: RPC bytes, upstream bytes, RPC bytes",
    "msgpack_to_protobuf": "MessagePack to protobuf",
}
_FIGURES = (
    ("size", "Size"),
    ("memory", "Peak memory"),
    ("allocations", "Blocks that Python holds"),
)


def codec_sections(results: Results) -> list[Safe]:
    """Return every section about codecs; what was not measured says so."""
    return [
        section("codecs", "Which codec is small, and which is fast?", _pareto(results)),
        section("stages", "How long does each stage take?", _matrix(results)),
        section("sizes", "How large is it, and how much memory does it take?", _sizes(results)),
        section("transcode", "What does the way between JSON and protobuf cost?", _ways(results)),
    ]


def _times(cases: Sequence[Case]) -> dict[str, float]:
    """The median time of each library in µs, over the tiers."""
    found = {}
    for case in cases:
        for library in sides(case):
            took = _time(case, library)
            if took is not None:
                found[library] = took
    return found


def _time(case: Case, library: str) -> float | None:
    return middle(case, library, main_key(case))


def _of_shape(cases: Sequence[Case], shape: str) -> list[Case]:
    return [one for one in cases if str(one.variant.get("shape", "")) == shape]


def _pareto(results: Results) -> list[str]:
    sizes = results.find("size", suite="codecs")
    shapes = dict.fromkeys(str(case.variant.get("shape", "")) for case in sizes)
    figures = [plot for shape in shapes for plot in _pareto_of(results, sizes, shape)]
    if not figures:
        return [NOT_MEASURED]
    said = (
        "Smaller is left, faster is down. The step joins the frontier: nothing else is both "
        "smaller and faster than a codec on it. Time is a round trip: build, encode, decode, and "
        "touch every field. The line joins medians; whether intervals overlap is in the table "
        "beneath each plot."
    )
    return [paragraph(said), '<div class="plots">', *figures, "</div>"]


def _pareto_of(results: Results, sizes: Sequence[Case], shape: str) -> Iterable[str]:
    """The plot of one shape; nothing where sizes or times of two libraries are missing."""
    took = _times(_of_shape(results.find("round_trip", suite="codecs"), shape))
    found = [
        (library, raw, took[library])
        for case in _of_shape(sizes, shape)
        for library in sides(case)
        if library in took and (raw := middle(case, library, "raw"))
    ]
    best = frontier(found)
    shown = [Point(name, raw, us, name in best) for name, raw, us in found]
    if len(shown) < 2:
        return
    told = "; ".join(f"{one.name}: {number(one.x)} bytes, {number(one.y)} µs" for one in shown)
    plot = points(
        f"{plain(shape)}: size against speed",
        f"On the frontier: {', '.join(best)}. {told}",
        shown,
        x=Axis("bytes"),
        y=Axis("µs per round trip", log=True),
    )
    rounds = _rounds(_of_shape(results.find("round_trip", suite="codecs"), shape))
    yield figure(plot, strong(plain(shape)), beneath=_listed(shape, shown, rounds))


def _rounds(cases: Sequence[Case]) -> dict[str, list[float]]:
    """Every round's time of each library in µs."""
    return {
        library: counted(case, library, main_key(case)) for case in cases for library in sides(case)
    }


def _listed(shape: str, shown: Sequence[Point], rounds: Mapping[str, list[float]]) -> Safe:
    """The same figures in words, for who does not see the plot, with what tells them apart."""
    rows: list[list[Cell]] = [
        [one.name, _whole(one.x), with_iqr(rounds[one.name], one.y), _place(one, shown, rounds)]
        for one in sorted(shown, key=lambda one: one.y)
    ]
    heads = ["codec", "bytes", "µs per round trip (IQR)", "on the frontier"]
    return folded("as a table", table(plain(shape), heads, rows))


def _place(one: Point, shown: Sequence[Point], rounds: Mapping[str, list[float]]) -> str:
    """Whether a codec is on the frontier; open where the intervals of the times overlap."""
    beaten = [
        other
        for other in shown
        if other.x <= one.x and other is not one and _clearly(rounds[other.name], rounds[one.name])
    ]
    smaller = [other for other in shown if other.x <= one.x and other is not one]
    if beaten:
        return "no"
    open_ = any(not _clearly(rounds[one.name], rounds[other.name]) for other in smaller)
    return "open" if open_ else "yes"


def _clearly(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether the interval of one median lies below that of the other."""
    own, other = interval_of_median(ours), interval_of_median(theirs)
    return own is not None and other is not None and own[1] < other[0]


def frontier(found: Sequence[tuple[str, float, float]]) -> list[str]:
    """Return the names that nothing else beats in both size and time."""
    return [
        name
        for name, size, took in found
        if not any(
            other_size <= size and other_took <= took and (other_size, other_took) != (size, took)
            for _, other_size, other_took in found
        )
    ]


def _matrix(results: Results) -> list[str]:
    """A table per stage and tier: typed and untyped work is never side by side."""
    parts = []
    for stage, told in STAGES.items():
        cases = results.find(stage, suite="codecs")
        for tier in dict.fromkeys(str(case.variant.get("tier", "")) for case in cases):
            same = [case for case in cases if str(case.variant.get("tier", "")) == tier]
            parts.append(_stage_table(f"{told} ({tier})" if tier else told, same))
    left_out = results.find("refused", "unavailable", suite="codecs")
    if left_out:
        parts.append(paragraph("Left out, with the reason:"))
        told_of = "".join(f"<li>{escape(note)}</li>" for one in left_out for note in one.notes)
        parts.append(f'<ul class="soft">{told_of}</ul>')
    return parts or [NOT_MEASURED]


def _stage_table(caption: str, cases: Sequence[Case]) -> str:
    """Shapes down, libraries across, medians in µs; what is clearly the least stands out."""
    libraries = list(dict.fromkeys(side for case in cases for side in sides(case)))
    rows: list[list[Cell]] = []
    for case in cases:
        times = [counted(case, library, main_key(case)) for library in libraries]
        cells = [_cell(one, [other for other in times if other is not one]) for one in times]
        rows.append([plain(str(case.variant.get("shape", ""))), *cells])
    return table(f"{caption}, µs of CPU, median (IQR)", ["shape", *libraries], rows)


def _cell(found: Sequence[float], others: Sequence[Sequence[float]] = ()) -> Cell:
    """A median with its spread; with weight where its interval lies below all others."""
    told = with_iqr(found, median(found) if found else None)
    beside = [one for one in others if one]
    is_least = bool(beside) and all(_clearly(found, other) for other in beside)
    return strong(told) if is_least else told


def _sizes(results: Results) -> list[str]:
    """A table per figure, whichever the cases of sizes and memory have."""
    parts = []
    for scenario, told in _FIGURES:
        cases = results.find(scenario, suite="codecs")
        found = dict.fromkeys(key for case in cases for one in case.samples for key in one.values)
        keys = [key for key in found if key not in _LEFT_OUT]
        parts += [_grid(f"{told}: {_KEYS.get(key, key)}", cases, key) for key in keys]
    return parts or [NOT_MEASURED]


def _grid(caption: str, cases: Sequence[Case], key: str) -> str:
    """Shapes down, libraries across, one figure."""
    libraries = list(dict.fromkeys(side for case in cases for side in sides(case)))
    rows: list[list[Cell]] = []
    for case in cases:
        found = [middle(case, library, key) for library in libraries]
        told = ", ".join(plain(str(value)) for value in case.variant.values())
        rows.append([told, *(_whole(one) for one in found)])
    return table(caption, ["shape", *libraries], rows)


def _whole(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 or value == int(value) else number(value)


def _ways(results: Results) -> list[str]:
    """A table per direction: the ways themselves, and both around a REST upstream."""
    cases = results.find("transcode", suite="codecs")
    parts = []
    for direction in dict.fromkeys(str(case.variant.get("direction", "")) for case in cases):
        same = [one for one in cases if str(one.variant.get("direction", "")) == direction]
        caption = WAYS.get(direction, plain(direction))
        parts.append(_way_table(f"{caption}, µs of CPU, median (IQR)", same))
    if not parts:
        return [NOT_MEASURED]
    return [paragraph(f"The transcoder is {LIBRARY}. A ratio is how many times as fast."), *parts]


def _way_table(caption: str, cases: Sequence[Case]) -> str:
    """A row per shape, with a ratio for each oracle that it was timed beside."""
    names = list(dict.fromkeys(side for case in cases for side in sides(case)))
    oracles = list(dict.fromkeys(_oracle(case) for case in cases if case.ratio))
    rows: list[list[Cell]] = []
    for shape in dict.fromkeys(str(case.variant.get("shape", "")) for case in cases):
        same = _of_shape(cases, shape)
        times = _rounds(same)
        ratios = {_oracle(case): interval_text(case.ratio) for case in same}
        told = [plain(shape), str(same[0].variant.get("fields", DASH))]
        cells = [_cell(times.get(name, [])) for name in names]
        rows.append([*told, *(ratios.get(oracle, DASH) for oracle in oracles), *cells])
    beside = [f"times {oracle} (95 %)" for oracle in oracles]
    return table(caption, ["shape", "fields", *beside, *map(side_name, names)], rows, words=2)


def _oracle(case: Case) -> str:
    """What a case was timed beside."""
    return str(case.variant.get("oracle", "json_format"))
