"""What the page reads: the cases of all runs, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import merged, middle, sides, values
from benchmarks.harness.results import Case, Interval, Run, VariantValue
from benchmarks.harness.stats import iqr
from benchmarks.report.markup import Cell, Safe, escape, paragraph, table
from benchmarks.report.scale import number

__all__ = [
    "NOT_MEASURED",
    "Results",
    "case_table",
    "interval_text",
    "variant_text",
]

NOT_MEASURED = paragraph("Not measured in this run.", kind="none")

COLUMNS: Mapping[str, str] = {
    "cpu_us_per_call": "CPU µs per call",
    "cpu_ms": "CPU ms",
    "offered": "offered per s",
    "rate": "rate per s",
    "errors": "errors",
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "p99_ms": "p99 ms",
    "p999_ms": "p99.9 ms",
    "max_ms": "max ms",
    "rss_mb": "RSS MB",
    "kb_per_subscriber": "kB per subscriber",
    "busy": "busy",
}
"""The figures that tables of the service show, in their order, with their heads."""
_LEFT_OUT = ("calls",)
"""The raw data has them."""
_MAIN = ("cpu_us_per_call", "cpu_ms", "kb_per_subscriber")


@dataclass(frozen=True, slots=True)
class Results:
    """Every case that was measured, in the order of the files."""

    runs: tuple[Run, ...]

    @property
    def cases(self) -> list[Case]:
        """Every case of every run; what was measured in parts is one."""
        return merged(case for run in self.runs for case in run.cases)

    def find(self, *scenarios: str, suite: str = "service") -> list[Case]:
        """Return the cases of any of these scenarios."""
        return [case for case in self.cases if case.suite == suite and case.scenario in scenarios]


def variant_text(case: Case, *, without: Sequence[str] = ()) -> str:
    """Return the variant of a case in words: `in flight 64, tls on`."""
    told = [_setting(key, value) for key, value in case.variant.items() if key not in without]
    return ", ".join(told) or case.scenario.replace("_", " ")


def _setting(key: str, value: VariantValue) -> str:
    if key == "share":
        return f"{value} % of the ceiling"
    shown = value if isinstance(value, str) else f"{value:,}"
    return f"{key.replace('_', ' ')} {shown}"


def interval_text(interval: Interval | None) -> str:
    """Return an interval as its middle with its bounds."""
    if interval is None:
        return ""
    low, mid, high = (number(one) for one in (interval.low, interval.mid, interval.high))
    return f"{mid} ({low}–{high})"  # noqa: RUF001  # a range takes an en dash


def case_table(caption: str, cases: Sequence[Case]) -> Safe:
    """Return a table of cases, one row per side, medians over the windows; errors are summed."""
    if not cases:
        return paragraph(f"{caption}: not measured in this run.", kind="none")
    every = [item for case in cases for one in case.samples for item in one.values.items()]
    found = dict.fromkeys(key for key, value in every if value or key == "errors")
    keys = [key for key in COLUMNS if key in found]
    keys += [key for key in found if key not in COLUMNS and key not in _LEFT_OUT]
    heads = ["case", "side", "ratio (95 %)", *_heads(keys)]
    rows = [row for case in cases for row in _rows(case, keys)]
    return Safe(table(caption, heads, rows, words=2) + _notes(cases))


def _heads(keys: Iterable[str]) -> list[str]:
    return [
        head for key in keys for head in ([_head(key), "IQR"] if key in _MAIN else [_head(key)])
    ]


def _head(key: str) -> str:
    return COLUMNS.get(key, key.replace("_", " "))


def _rows(case: Case, keys: Sequence[str]) -> Iterable[list[Cell]]:
    name: Cell = variant_text(case)
    if not case.samples:
        yield [name, "", interval_text(case.ratio), *("" for _ in _heads(keys))]
    for index, side in enumerate(sides(case)):
        cells = [cell for key in keys for cell in _cells(case, side, key)]
        ratio = interval_text(case.ratio) if index == 0 else ""
        yield [name if index == 0 else "", side, ratio, *cells]


def _cells(case: Case, side: str, key: str) -> list[Cell]:
    found = values(case, side, key)
    if key == "errors":
        total = sum(found)
        text = escape(f"{total:,.0f}") if found else escape("")
        return [Safe(f'<span class="bad">{text}</span>') if total else text]
    mid = middle(case, side, key)
    told = "" if mid is None else number(mid)
    return [told, number(iqr(found)) if found else ""] if key in _MAIN else [told]


def _notes(cases: Sequence[Case]) -> str:
    """What the cases have to say of themselves, once each, with the cases that it is about."""
    told: dict[str, list[str]] = {}
    for case in cases:
        for note in case.notes:
            told.setdefault(note, []).append(variant_text(case))
    items = "".join(
        f"<li>{escape(_about(note, about if len(about) < len(cases) else []))}</li>"
        for note, about in told.items()
    )
    return f'<ul class="soft">{items}</ul>' if items else ""


def _about(note: str, names: Sequence[str]) -> str:
    return f"{'; '.join(names)}: {note}" if names else note
