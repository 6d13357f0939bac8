"""What is no cost of CPU and yet higher than the baseline's: latency, memory, what an overload
leaves of the answers, and how long an outage lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.harness.results import BASELINE, INTERLACE, Case, Interval
from benchmarks.report.data import Results
from benchmarks.report.markup import Safe, escape, paragraph, strong
from benchmarks.report.measured import counted, interval_of_median, middle_of
from benchmarks.report.scale import number
from benchmarks.report.wording import case_name, listed, peer_name

__all__ = ["beside", "higher", "in_lead", "outages", "overload"]

_FIGURES: Mapping[str, str] = {
    "p99_ms": "The p99 of latency",
    "rss_mb": "The resident memory of the serving process",
}
_NAMED = 8


def beside(case: Case, key: str) -> Interval | None:
    """Return Interlace : baseline of any figure, window by window; None without both.

    The bounds are those of the ranks, and the least and the greatest where there are too few.
    """
    ours, theirs = counted(case, INTERLACE, key), counted(case, BASELINE, key)
    if not ours or len(ours) != len(theirs) or min(theirs) <= 0:
        return None
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    low, high = interval_of_median(ratios) or (min(ratios), max(ratios))
    return Interval(low, median(ratios), high)


def _found(results: Results, key: str) -> tuple[list[tuple[Case, Interval]], int]:
    """The cases in which a figure is higher, the worst first, and of how many."""
    every = [
        (case, ratio)
        for case in results.cases
        if case.suite == "service"
        and case.scenario != "overload"  # each side is offered another rate there
        and (ratio := beside(case, key))
    ]
    more = [one for one in every if one[1].low > 1]
    return sorted(more, key=lambda one: -one[1].mid), len(every)


def higher(results: Results) -> list[str]:
    """Return a paragraph for each figure that has been compared, whatever it says."""
    told = []
    for key, name in _FIGURES.items():
        found, count = _found(results, key)
        if count:
            told.append(paragraph(_told(name, found, count)))
    return [*told, *(paragraph(one) for one in (*overload(results), *outages(results)))]


def _told(name: str, found: Sequence[tuple[Case, Interval]], count: int) -> str:
    if not found:
        return f"{name} is higher in none of {count} cases."
    mids = [ratio.mid for _, ratio in found]
    if len(found) > _NAMED:
        span = f"{number(min(mids))} to {number(max(mids))} times"
        return f"{name} is higher in {_of(len(found), count)}, {span}."
    named = "; ".join(f"{case_name(case)} {number(ratio.mid)} times" for case, ratio in found)
    return f"{name} is higher in {_of(len(found), count)}: {named}."


def _of(found: int, count: int) -> str:
    return f"all {count} cases" if found == count > 2 else f"{found} of {count} cases"


def in_lead(results: Results) -> str:
    """Return what of it belongs into the lead: only what is higher, or less of what is wanted."""
    told = []
    for key, name in _FIGURES.items():
        found, count = _found(results, key)
        if found:
            mids = [ratio.mid for _, ratio in found]
            ends = dict.fromkeys((number(min(mids)), number(max(mids))))
            times = strong(" to ".join(ends))
            told.append(f"{name} is higher in {_of(len(found), count)}, {times} times.")
    if any(_is_behind(case) for case in results.find("overload")):
        told += overload(results)
    late = [case for case in results.find("recovery") if _is_later(case)]
    told += map(_outage, late)
    return Safe(" ".join(told))


def outages(results: Results) -> list[Safe]:
    """Return how soon each side answers again after an outage of its upstream."""
    return [_outage(case) for case in results.find("recovery") if _returns(case)]


def _is_later(case: Case) -> bool:
    found = _returns(case)
    return bool(found) and found[0] > found[1]


def _returns(case: Case) -> list[float]:
    """After how many milliseconds Interlace and the baseline answer again; empty without both."""
    found = [middle_of(case, side, "recovered_ms") for side in (INTERLACE, BASELINE)]
    return [one for one in found if one is not None] if None not in found else []


def _outage(case: Case) -> Safe:
    ours, theirs = (strong(f"{number(one)} ms") for one in _returns(case))
    gone = escape(str(case.variant.get("outage_s", "some")))
    return Safe(
        f"After an upstream was gone for {gone} s, Interlace answers again {ours} after its "
        f"return, the baseline {theirs}."
    )


def _is_behind(case: Case) -> bool:
    ours, theirs = (middle_of(case, side, "goodput_share") for side in (INTERLACE, BASELINE))
    return ours is not None and theirs is not None and ours < theirs and not _eased(case)


def _eased(case: Case) -> list[str]:
    """The sides that answered more than the ceiling they were found to have: the machine had
    quickened, and what they were offered was no overload."""
    return [
        peer_name(side)
        for side in (INTERLACE, BASELINE)
        if any(share > 1 for share in counted(case, side, "goodput_share"))
    ]


def overload(results: Results) -> list[Safe]:
    """Return how much of its own ceiling each side still answers in time when offered more."""
    told = []
    for case in results.find("overload"):
        shares = [middle_of(case, side, "goodput_share") for side in (INTERLACE, BASELINE)]
        shown = [strong(f"{one * 100:.0f} %") for one in shares if one is not None]
        percent = escape(str(case.variant.get("share", "more")))
        if eased := _eased(case):
            told.append(
                Safe(
                    f"Offered {percent} % of the ceiling that was found before, "
                    f"{listed(eased)} answered more than that ceiling in a window: the machine had "
                    "quickened, and this was no overload. It tells nothing of one."
                )
            )
        elif len(shown) == 2:
            told.append(
                Safe(
                    f"Offered {percent} % of its own ceiling, Interlace answers {shown[0]} of that "
                    f"ceiling in time, the baseline {shown[1]} of its own."
                )
            )
    return told
