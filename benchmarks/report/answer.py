"""The paragraph that answers, computed from what was measured, and the budgets beneath it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.budgets import AT_MOST, Budget
from benchmarks.harness.results import Interval
from benchmarks.report.balance import costs_more
from benchmarks.report.conditions import (
    LIBRARY,
    OF_BOTH,
    few_published,
    published,
    threads,
)
from benchmarks.report.data import Results, interval_text
from benchmarks.report.markup import (
    Cell,
    Safe,
    aside,
    escape,
    figure,
    paragraph,
    section,
    strong,
    table,
)
from benchmarks.report.plot import Bar, intervals
from benchmarks.report.scale import Axis, number
from benchmarks.report.wording import budget_name, listed, variant_text
from benchmarks.summary import Judged, verdict

__all__ = ["answer", "budgets"]


def answer(judged: Sequence[Judged], results: Results) -> Safe:
    """Return the lead: what is cheaper than the hand-written peer, what is dearer, what fails."""
    known = {one.budget.name: one.measured for one in judged if one.measured}
    cheaper = [*_costs(known), *_feeds(known, results), *_transcoding(known)]
    told = [" ".join(cheaper), costs_more(results), _verdicts(judged)]
    lead = "".join(paragraph(Safe(one), kind="lead") for one in told if one)
    return Safe(lead + paragraph(f"{OF_BOTH} {threads(results.runs)}"))


def _costs(known: dict[str, Interval]) -> Iterable[str]:
    parts = [
        f"{_share(known[name])} for {what}"
        for name, what in (
            ("call", "one call to a REST upstream"),
            ("fanout_8", "a fan-out of 8"),
            ("fanout_32", "a fan-out of 32"),
            ("session_256", "a call in a session with 256 in flight"),
        )
        if name in known
    ]
    if parts:
        yield (
            "Interlace's CPU time per call, as a share of that of a hand-written grpc.aio "
            f"service, is {listed(parts)}."
        )
    else:
        yield "Nothing that was measured here says what a call costs beside the baseline."


def _feeds(known: dict[str, Interval], results: Results) -> Iterable[str]:
    if "subscribe_100" in known:
        times = strong(f"{number(known['subscribe_100'].mid)} times")
        how, less = published(results), few_published(results)
        told = f"A second of CPU brings 100 subscribers of one feed {times} the baseline's events"
        yield f"{told}{f' when {how}' if how else ''}{f', {less}' if less else ''}."


def _transcoding(known: dict[str, Interval]) -> Iterable[str]:
    ways = [
        (strong(number(known[name].mid)), way)
        for name, way in (
            ("json_to_protobuf_plain", "from JSON to protobuf"),
            ("protobuf_to_json_plain", "back"),
        )
        if name in known
    ]
    if ways:
        told = listed([f"{times} times as fast as json_format {way}" for times, way in ways])
        yield f"Its transcoder ({LIBRARY}) is {told}, on the slowest plain shape."


def _share(measured: Interval) -> str:
    return f"{strong(number(measured.mid))} ({number(measured.low)} to {number(measured.high)})"


def _verdicts(judged: Sequence[Judged]) -> str:
    held = [one for one in judged if one.passed]
    failed = [one for one in judged if one.measured and not one.passed]
    missing = [one for one in judged if not one.measured]
    told = [f"{len(held)} of {len(judged)} budgets hold."]
    if failed:
        names = "; ".join(f"{budget_name(one.budget)} ({_beside(one)})" for one in failed)
        failing = "This one fails" if len(failed) == 1 else "These fail"
        told.append(f'<span class="bad">{failing}:</span> {names}.')
    if missing:
        names = "; ".join(budget_name(one.budget) for one in missing)
        told.append(f"Not measured in this run, so not held either: {names}.")
    return " ".join(told)


def _beside(judged: Judged) -> str:
    mid = number(judged.measured.mid) if judged.measured else ""
    return f"{mid}, must be {_limit(judged.budget)}"


def _limit(budget: Budget) -> str:
    return f"{'≤' if budget.sense == AT_MOST else '≥'} {budget.budget:g}"


def budgets(judged: Sequence[Judged]) -> Safe:
    """Return the section of the budgets: how much of each is used, and the table."""
    shown = [_bar(one) for one in judged if one.measured]
    parts: list[str] = []
    if shown:
        plot = intervals(
            "Share of each budget that is used",
            "One row per budget. " + ". ".join(_told(bar) for bar in shown),
            shown,
            x=Axis("share of the budget that is used, with its 95 % interval", log=False),
            limit=(1.0, "budget"),
        )
        caption = "Left of the line a budget holds. The table has the same figures."
        parts.append(f'<div class="broad">{figure(plot, caption)}</div>')
    rows = [_row(one) for one in judged]
    heads = ["budget", "verdict", "measured (95 % interval)", "must reach", "aim"]
    parts.append(table("Every budget, and the worst case that decides it", heads, rows, words=2))
    if any("transcod" in one.budget.scenario for one in judged):
        parts.append(paragraph(f"What converts JSON and protobuf is {LIBRARY}.", kind="soft"))
    return section("budgets", "Does it hold its budgets?", parts)


def _bar(judged: Judged) -> Bar:
    assert judged.measured is not None  # noqa: S101  # only the measured are drawn
    used = sorted(_used(judged.budget, getattr(judged.measured, end)) for end in ("low", "high"))
    tone = "good" if judged.passed else "bad"
    mid = _used(judged.budget, judged.measured.mid)
    return Bar(budget_name(judged.budget), used[0], mid, used[1], tone)


def _used(budget: Budget, figure_: float) -> float:
    if budget.sense == AT_MOST:
        return figure_ / budget.budget
    return budget.budget / figure_ if figure_ > 0 else float("inf")


def _told(bar: Bar) -> str:
    return f"{bar.name}: {number(bar.mid)} of its budget"


def _row(judged: Judged) -> list[Cell]:
    budget = judged.budget
    mark = "good" if judged.passed else "bad"
    shown = Safe(f'<span class="{mark}">{escape(verdict(judged))}</span>')
    told: Cell = interval_text(judged.measured) if judged.measured else judged.why
    sign = "≤" if budget.sense == AT_MOST else "≥"
    what = Safe(f"{escape(budget.what)}{_worst(judged)}")
    return [what, shown, told, f"{sign} {budget.budget:g}", f"{sign} {budget.aim:g}"]


def _worst(judged: Judged) -> str:
    """Which of several cases decided, where there were several."""
    budget, case = judged.budget, judged.case
    if case is None or not budget.each:
        return ""
    return aside(f" {variant_text(case, without=(*budget.where, 'oracle'))}")
