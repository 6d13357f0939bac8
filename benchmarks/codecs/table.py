"""The tables that a terminal shows after a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.codecs.cases import REFUSED, UNAVAILABLE
from benchmarks.codecs.codec import ACTIONS
from benchmarks.codecs.run import FAILED
from benchmarks.codecs.transcodes import INDENTED
from benchmarks.harness.results import Case, Sample
from benchmarks.harness.stats import bootstrap, iqr, median

__all__ = ["render", "render_long"]

FASTER = "times faster"
_TIMES = "µs of CPU per call, median and (IQR); smaller is better; tiers are not comparable"


def render(cases: Sequence[Case]) -> str:
    """Return all tables of a run as text."""
    shapes = list(
        dict.fromkeys(str(one.variant["shape"]) for one in cases if "shape" in one.variant)
    )
    parts = [_matrix(shape, cases) for shape in shapes]
    parts += [_transcodes(cases), _left_out(cases)]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_long(cases: Iterable[Case]) -> str:
    """Return one line per timed figure: its median, IQR, 95 % bootstrap interval and rounds."""
    rows: dict[str, dict[str, str]] = {}
    for case in cases:
        told = ", ".join(str(value) for value in case.variant.values())
        for side, values in _by_side(case, "cpu_us_per_call").items():
            interval = bootstrap(values, resamples=500)
            rows[f"{case.scenario}, {told}: {side}"] = {
                "median": _short(interval.mid),
                "IQR": _short(iqr(values)),
                "95 %": f"{_short(interval.low)} to {_short(interval.high)}",
                "rounds": str(len(values)),
            }
    return _grid("µs of CPU per call", ["median", "IQR", "95 %", "rounds"], rows) + "\n"


def _matrix(shape: str, cases: Iterable[Case]) -> str:
    mine = [one for one in cases if one.variant.get("shape") == shape]
    timed = [one for one in mine if one.scenario in ACTIONS]
    if not timed:
        return ""
    rows: dict[str, dict[str, str]] = {}
    for case in timed:
        for side, values in _by_side(case, "cpu_us_per_call").items():
            row = rows.setdefault(side, {})
            row[case.scenario] = f"{_short(median(values))} ({_short(iqr(values))})"
            if case.scenario != "decode_validate":
                row["tier"] = str(case.variant["tier"])
    for case in mine:
        for sample in case.samples:
            if found := _figures(case, sample):
                rows.setdefault(sample.side, {}).update(found)
    heads = ["tier", *ACTIONS, "raw", "gzip", "zstd", "blocks", "peak encode", "peak decode_keep"]
    return f"{shape}: {_TIMES}; sizes and peaks in bytes\n" + _grid("library", heads, rows)


def _figures(case: Case, sample: Sample) -> dict[str, str]:
    """What is not a time, under the heads of the matrix."""
    values = sample.values
    if case.scenario == "size":
        return {key: f"{value:,.0f}" for key, value in values.items()}
    if case.scenario == "allocations":
        return {"blocks": f"{values['decode']:,.0f}"}
    if case.scenario == "memory":
        return {f"peak {case.variant['action']}": f"{values['peak_bytes_per_value']:,.0f}"}
    return {}


def _transcodes(cases: Iterable[Case]) -> str:
    rows: dict[str, dict[str, str]] = {}
    sides: list[str] = []
    for case in cases:
        if case.scenario != "transcode":
            continue
        row = rows.setdefault(_row(case), {})
        row["fields"] = str(case.variant["fields"])
        if case.ratio is not None:
            low, mid, high = case.ratio.low, case.ratio.mid, case.ratio.high
            indented = case.variant["oracle"] == INDENTED
            row["than indented" if indented else FASTER] = f"{mid:.1f} ({low:.1f} to {high:.1f})"
        for side, values in _by_side(case, "cpu_us_per_call").items():
            sides += [side] if side not in sides else []
            row[side] = _short(median(values))
    if not rows:
        return ""
    title = "transcodes: µs of CPU per call; how many times faster than json_format, in turn\n"
    return title + _grid("direction, shape", ["fields", FASTER, "than indented", *sides], rows)


def _row(case: Case) -> str:
    return f"{case.variant['direction']} {case.variant['shape']}"


def _left_out(cases: Iterable[Case]) -> str:
    lines = [
        f"{one.scenario}: {note}"
        for one in cases
        if one.scenario in {FAILED, REFUSED, UNAVAILABLE}
        for note in one.notes
    ]
    return "\n".join(lines)


def _by_side(case: Case, key: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for sample in case.samples:
        if key in sample.values:
            found.setdefault(sample.side, []).append(sample.values[key])
    return found


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _grid(corner: str, heads: Sequence[str], rows: dict[str, dict[str, str]]) -> str:
    used = [head for head in heads if any(head in row for row in rows.values())]
    lines = [[corner, *used]]
    lines += [[name, *(row.get(head, "-") for head in used)] for name, row in rows.items()]
    widths = [max(len(line[at]) for line in lines) for at in range(len(used) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
