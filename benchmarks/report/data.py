"""What the page reads: the cases of all runs, and tables of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import merged, sides, values
from benchmarks.harness.results import Case, Interval, Run
from benchmarks.harness.stats import ENOUGH_PAIRS, coverage, iqr
from benchmarks.report.markup import Cell, Safe, aside, escape, folded, paragraph, table
from benchmarks.report.measured import (
    counted,
    middle_of,
    pairs,
    shown_ratio,
)
from benchmarks.report.scale import number
from benchmarks.report.wording import DASH, in_order, plain, side_name, variant_text

__all__ = ["NOT_MEASURED", "Extra", "Results", "case_table", "interval_text", "with_iqr"]

NOT_MEASURED = paragraph("Not measured in this run.", kind="none")

COLUMNS: Mapping[str, str] = {
    "cpu_us_per_call": "CPU µs per call (IQR)",
    "cpu_ms": "CPU ms (IQR)",
    "kb_per_subscriber": "kB per subscriber (IQR)",
    "offered": "offered per s",
    "rate": "calls per s",
    "goodput": "in time per s",
    "goodput_share": "in time, share of its ceiling",
    "too_late": "too late",
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "p99_ms": "p99 ms",
    "p999_ms": "p99.9 ms",
    "max_ms": "max ms",
    "opened_ms": "given up after, ms",
    "recovered_ms": "first answer after its return, ms",
    "whole_ms": "last failure after its return, ms",
    "failed": "failed calls",
    "failed_p50_ms": "a failed call, p50 ms",
    "errors": "errors",
}
"""The figures that tables of the service show, in their order, with their heads."""
BESIDE: Mapping[str, str] = {
    "rss_mb": "resident memory, MB",
    "busy": "server, cores busy",
    "load_busy": "load generator, cores busy",
    "late_ms": "load generator, latest send, ms",
    "late_p99_ms": "load generator, p99 of lateness, ms",
    "drain_ms": "until the last answer, ms",
    "status_1": "cancelled",
    "status_4": "deadline exceeded",
    "status_8": "refused, resource exhausted",
    "status_14": "unavailable",
    "wall_ms": "wall clock, ms",
    "calls": "calls in a window",
}
"""What lies folded beneath: it tells whether a window is to be trusted."""
_MAIN = ("cpu_us_per_call", "cpu_ms", "kb_per_subscriber")
_SAID = re.compile(
    r"^(open loop, offered |interlace has .* on, the other side nothing but"
    r"|one session beside the baseline|a call is one event at one subscriber"
    r"|ceilings of a closed loop: |\d+ pairs?: the interval is one of )"
)
"""Notes that the page itself says once, in words."""
_BATCHES = re.compile(r"^published \d+ at a time, ")
"""What stands in the name of the case, or in the caption, as well."""
Extra = tuple[str, Callable[[Case, str], Cell]]
"""One more column: its head, and what it says of one side of a case."""


@dataclass(frozen=True, slots=True)
class Results:
    """Every case that was measured, in the order of the files."""

    runs: tuple[Run, ...]

    @property
    def cases(self) -> list[Case]:
        """Every case of every run; what was measured in parts is one."""
        return merged(case for run in self.runs for case in run.cases)

    def find(self, *scenarios: str, suite: str = "service") -> list[Case]:
        """Return the cases of any of these scenarios, with their numbers ascending."""
        found = [one for one in self.cases if one.suite == suite and one.scenario in scenarios]
        return in_order(found) if suite == "service" else found


def interval_text(interval: Interval | None) -> str:
    """Return an interval as its middle with its bounds; a dash where there is none."""
    if interval is None:
        return DASH
    low, mid, high = (number(one) for one in (interval.low, interval.mid, interval.high))
    return f"{mid} ({low}–{high})"  # noqa: RUF001  # a range takes an en dash


def with_iqr(found: Sequence[float], middle: float | None) -> Cell:
    """Return a median with the distance of the quartiles behind it; a dash for nothing."""
    if middle is None:
        return DASH
    spread = aside(f" ({number(iqr(found), digits=2)})") if len(found) > 1 else ""
    return Safe(f"{escape(number(middle))}{spread}")


def case_table(caption: str, cases: Sequence[Case], *, extra: Extra | None = None) -> Safe:
    """Return a table of cases, one row per side, medians over the windows; errors are summed.

    What only tells whether a window is to be trusted lies folded beneath.
    """
    if not cases:
        return paragraph(f"{caption}: not measured in this run.", kind="none")
    keys = _keys(cases)
    first = [key for key in COLUMNS if key in keys]
    others = [key for key in keys if key not in COLUMNS]
    heads = ["case", "side", "ratio (95 % interval)", *([extra[0]] if extra else [])]
    heads += [COLUMNS[key] for key in first]
    rows = [row for case in cases for row in _rows(case, first, extra)]
    shown = table(caption, heads, rows, words=2)
    return Safe(shown + _notes(cases) + _beneath(caption, cases, others))


def _keys(cases: Sequence[Case]) -> list[str]:
    """What any side measured, where it means something."""
    found = dict.fromkeys(key for case in cases for one in case.samples for key in one.values)
    return [key for key in found if key in _DASHED or _is_counted(cases, key)]


_DASHED = ("p99_ms", "p999_ms")
"""A column of dashes says that there were too few calls; one left out would say nothing."""


def _is_counted(cases: Sequence[Case], key: str) -> bool:
    return any(counted(case, side, key) for case in cases for side in sides(case))


def _beneath(caption: str, cases: Sequence[Case], keys: Sequence[str]) -> str:
    """The folded table of everything else."""
    rows: list[list[Cell]] = [
        [variant_text(case) if index == 0 else "", side_name(side), *_plain(case, side, keys)]
        for case in cases
        for index, side in enumerate(sides(case))
    ]
    if not keys or not rows:
        return ""
    heads = ["case", "side", *(BESIDE.get(key, plain(key)) for key in keys)]
    return folded(
        "memory, load and everything else of these windows",
        table(f"{caption}: what else was measured", heads, rows, words=2),
    )


def _plain(case: Case, side: str, keys: Sequence[str]) -> list[str]:
    return [_number(middle_of(case, side, key)) for key in keys]


def _number(value: float | None) -> str:
    return DASH if value is None else number(value)


def _rows(case: Case, keys: Sequence[str], extra: Extra | None) -> Iterable[list[Cell]]:
    name: Cell = variant_text(case)
    ratio: Cell = interval_text(shown_ratio(case))
    names = sides(case)
    if not names:
        yield [name, DASH, ratio, *(DASH for _ in range(len(keys) + bool(extra)))]
    for index, side in enumerate(names):
        cells = [extra[1](case, side)] if extra else []
        cells += [_cell(case, side, key) for key in keys]
        label = escape(side_name(side))
        whose: Cell = label if index == 0 else Safe(f'<span class="theirs">{label}</span>')
        head = [name, whose, ratio] if index == 0 else ["", whose, _pairs(case)]
        yield [*head, *cells]


def _pairs(case: Case) -> Cell:
    """How many pairs of windows a ratio is of, and what its interval covers where they are few."""
    count = pairs(case)
    if not count or shown_ratio(case) is None:
        return ""
    told = f"{count} pair{'s' if count > 1 else ''}"
    few = f", covers {coverage(count) * 100:.0f} %" if count < ENOUGH_PAIRS else ""
    return aside(told + few)


def _cell(case: Case, side: str, key: str) -> Cell:
    if key == "errors":
        return _errors(values(case, side, key))
    if key in _MAIN:
        return with_iqr(counted(case, side, key), middle_of(case, side, key))
    return _number(middle_of(case, side, key))


def _errors(found: Sequence[float]) -> Cell:
    total = sum(found)
    text = escape(f"{total:,.0f}") if found else escape(DASH)
    return Safe(f'<span class="bad">{text}</span>') if total else text


def _notes(cases: Sequence[Case]) -> str:
    """What the cases have to say of themselves, once each, with the cases that it is about."""
    told: dict[str, list[str]] = {}
    for case in cases:
        for note in case.notes:
            if not _SAID.match(note):
                rest = _BATCHES.sub("", note)
                told.setdefault(rest, []).append(variant_text(case))
    items = "".join(
        f"<li>{escape(_about(note, about if len(about) < len(cases) else []))}</li>"
        for note, about in told.items()
    )
    return f'<ul class="soft">{items}</ul>' if items else ""


def _about(note: str, names: Sequence[str]) -> str:
    told = note[:1].upper() + note[1:]
    return f"{'; '.join(names)}: {note}" if names else told
