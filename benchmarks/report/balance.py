"""Where Interlace costs more than what it is measured beside, found in the data, not chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.figures import is_rate, main_key, sides
from benchmarks.harness.results import BASELINE, INTERLACE, Case, Interval
from benchmarks.harness.stats import ENOUGH_PAIRS
from benchmarks.report.data import NOT_MEASURED, Results, interval_text
from benchmarks.report.higher import higher, in_lead
from benchmarks.report.markup import Cell, Safe, escape, paragraph, section, strong, table
from benchmarks.report.measured import (
    Standing,
    middle_of,
    pairs,
    shown_ratio,
    standing,
)
from benchmarks.report.scale import number
from benchmarks.report.wording import (
    DASH,
    case_name,
    peer_name,
    plain,
    variant_text,
)

__all__ = ["costs_more", "dearer", "in_short", "in_times"]

_NAMED = 6
"""So many cases stand in the lead by name; the table has all."""
_OF = {"kb_per_subscriber": "memory", "cpu_ms": "CPU time", "cpu_us_per_call": "CPU time"}


def costs_more(results: Results) -> str:
    """Return the sentences of the lead that say where Interlace costs more than the baseline."""
    every = [case for case in results.cases if _peer(case) == BASELINE and shown_ratio(case)]
    more = in_lead(results)
    if not every:
        return more
    found = _sorted(every, "more")
    said = " ".join(one for one in (_open(every), more) if one)
    if not found:
        return Safe(f"In none of {len(every)} cases does it cost more beyond the interval. {said}")
    named = [f"{case_name(one)}: {_times(_cost(one))}" for one in found[:_NAMED]]
    rest = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    head = f"It costs more than the baseline in {len(found)} of {len(every)} cases:"
    return Safe(
        f'<span class="bad">{head}</span> {"; ".join(named)}{rest}. {said} '
        '<a href="#dearer">More of it.</a>'
    )


def _open(every: Sequence[Case]) -> str:
    """How many cases cannot be told apart."""
    count = len(_sorted(every, "neither"))
    return f"In {count} more the interval holds both less and more." if count else ""


def _times(cost: Interval) -> str:
    return f"{strong(number(cost.mid))} times ({number(cost.low)} to {number(cost.high)})"


def in_times(ratio: Interval) -> str:
    """Return how many times as good a ratio of costs is."""
    return number(1 / ratio.mid) if ratio.mid > 0 else DASH


def dearer(results: Results) -> Safe:
    """Return the section with every case that costs more, and those where nobody can tell."""
    ratios = [case for case in results.cases if shown_ratio(case)]
    more, neither = _sorted(ratios, "more"), _sorted(ratios, "neither")
    parts: list[str] = []
    if not ratios:
        parts = [NOT_MEASURED]
    else:
        heads = ["case", "beside", "cost, in times (95 % interval)", "Interlace", "the other"]
        caption = "Every case whose whole interval says that Interlace costs more, the worst first"
        rows = [_row(case) for case in more]
        parts = [table(caption, heads, rows, words=2)] if rows else [paragraph("In none.")]
        parts += [_conditions(more), _untold(neither)]
    parts += higher(results)
    return section("dearer", "Where does Interlace cost more?", parts)


def _row(case: Case) -> list[Cell]:
    key, other = main_key(case), _peer(case)
    few = f", {pairs(case)} pairs" if pairs(case) < ENOUGH_PAIRS else ""
    unit = _unit(key)
    values = [middle_of(case, side, key) for side in (INTERLACE, other)]
    shown = [DASH if one is None else f"{number(one)} {unit}" for one in values]
    beside = peer_name(other)
    return [case_name(case), beside, interval_text(_cost(case)) + few, *shown]


def _unit(key: str) -> str:
    known = {"cpu_us_per_call": "µs", "cpu_ms": "ms", "kb_per_subscriber": "kB"}
    return known.get(key, plain(key))


def _conditions(cases: Sequence[Case]) -> str:
    """What the dearer cases have to say of themselves."""
    told = [
        f"{case_name(case)}: {note}."
        for case in cases
        for note in case.notes
        if "baseline" in note and "beside the baseline" not in note
    ]
    return "".join(paragraph(one, kind="soft") for one in dict.fromkeys(told))


def _untold(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    told = "; ".join(f"{case_name(one)} {interval_text(_cost(one))}" for one in cases)
    return paragraph(f"Not to be told apart, since the interval holds 1: {told}.", kind="soft")


def _sorted(cases: Iterable[Case], wanted: Standing) -> list[Case]:
    return sorted(
        (one for one in cases if standing(one) == wanted), key=lambda one: -_cost(one).mid
    )


def _cost(case: Case) -> Interval:
    """How many times as much Interlace costs, whichever way the case counts."""
    ratio = shown_ratio(case) or Interval(1.0, 1.0, 1.0)
    if case.suite == "codecs" or is_rate(case.unit):
        return Interval(1 / ratio.high, 1 / ratio.mid, 1 / ratio.low)
    return ratio


def _peer(case: Case) -> str:
    """The side that Interlace is measured beside: the second one, or the oracle of a transcode."""
    oracle = case.variant.get("oracle")
    others = [side for side in sides(case) if side != INTERLACE]
    if isinstance(oracle, str) and oracle in others:
        return oracle
    return others[0] if others else ""


def in_short(cases: Sequence[Case]) -> list[str]:
    """Return the sentence that answers a section: what it costs beside the other side."""
    known = [case for case in cases if shown_ratio(case)]
    if not known:
        return []
    what = _OF.get(main_key(known[0]), "cost")
    other = escape(peer_name(_peer(known[0])))
    told = _one(known[0], what, other) if len(known) == 1 else _several(known, what, other)
    return [paragraph(Safe(told))]


def _one(case: Case, what: str, other: str) -> str:
    ours, theirs = (middle_of(case, side, main_key(case)) for side in (INTERLACE, _peer(case)))
    ratio, unit = strong(interval_text(_cost(case))), escape(_unit(main_key(case)))
    if ours is None or theirs is None:
        return f"{ratio} times the {what} of {other}."
    said = f"{number(ours)} {unit} of {what} against {number(theirs)} {unit} of {other}: {ratio}"
    told = {"less": " of it.", "more": " times as much."}
    return said + told.get(
        standing(case) or "", ", an interval that holds 1: which is less is open."
    )


def _several(cases: Sequence[Case], what: str, other: str) -> str:
    told = []
    for wanted, start, end in (
        ("less", f"Less {what} than {other} in", "of it"),
        ("more", f"More {what} than {other} in", "times as much"),
    ):
        found = [one for one in cases if standing(one) == wanted]
        if found:
            mids = sorted(_cost(one).mid for one in found)
            ends = dict.fromkeys((number(mids[0]), number(mids[-1])))
            span = strong(" to ".join(ends))
            told.append(f"{start} {_which(found, cases)}: {span} {end}.")
    unknown = [one for one in cases if standing(one) == "neither"]
    if unknown:
        told.append(f"Open in {_which(unknown, cases)}: the interval holds 1.")
    return " ".join(told)


def _which(found: Sequence[Case], cases: Sequence[Case]) -> str:
    """How many of the cases, and which where they are few."""
    if len(found) == len(cases):
        return "both cases" if len(cases) == 2 else f"all {len(cases)} cases"
    named = f" ({'; '.join(variant_text(one) for one in found)})" if len(found) <= 3 else ""
    return f"{len(found)} of {len(cases)} cases{escape(named)}"
