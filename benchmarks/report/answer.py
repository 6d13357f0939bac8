"""The paragraph that answers, computed from what was measured, and the budgets beneath it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.budgets import AT_MOST, Budget
from benchmarks.harness.results import Interval
from benchmarks.report.data import interval_text
from benchmarks.report.markup import Cell, Safe, escape, figure, paragraph, section, strong, table
from benchmarks.report.plot import Bar, intervals
from benchmarks.report.scale import Axis, number
from benchmarks.summary import Judged, verdict

__all__ = ["answer", "budgets"]


def answer(judged: Sequence[Judged]) -> Safe:
    """Return the lead: what a call costs beside the hand-written peer, and what fails."""
    known = {one.budget.name: one.measured for one in judged if one.measured}
    told = [*_costs(known), *_feeds(known), *_transcoding(known), _verdicts(judged)]
    return paragraph(Safe(" ".join(told)), kind="lead")


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
            "With every default policy and metric on, Interlace's CPU time per call, as a share "
            f"of a hand-written grpc.aio service that has none, is {_listed(parts)}."
        )
    else:
        yield "Nothing that was measured here says what a call costs beside the baseline."


def _feeds(known: dict[str, Interval]) -> Iterable[str]:
    if "subscribe_100" in known:
        times = strong(f"{number(known['subscribe_100'].mid)} times")
        yield f"A second of CPU brings 100 subscribers of one feed {times} the baseline's events."


def _transcoding(known: dict[str, Interval]) -> Iterable[str]:
    there, back = known.get("json_to_protobuf_plain"), known.get("protobuf_to_json_plain")
    if there and back:
        times = (strong(number(one.mid)) for one in (there, back))
        first, second = times
        yield (
            f"Its transcoder is at least {first} times as fast as json_format from JSON to "
            f"protobuf, and {second} times back, on the slowest plain shape."
        )


def _share(measured: Interval) -> str:
    return f"{strong(number(measured.mid))} ({number(measured.low)} to {number(measured.high)})"


def _verdicts(judged: Sequence[Judged]) -> str:
    held = [one for one in judged if one.passed]
    failed = [one for one in judged if one.measured and not one.passed]
    missing = [one for one in judged if not one.measured]
    told = [f"{len(held)} of {len(judged)} budgets hold."]
    if failed:
        names = _listed([f"{_named(one.budget)} ({_beside(one)})" for one in failed])
        failing = "This one fails" if len(failed) == 1 else "These fail"
        told.append(f'<span class="bad">{failing}:</span> {names}.')
    if missing:
        names = _listed([_named(one.budget) for one in missing])
        told.append(f"Not measured in this run, so not held either: {names}.")
    return " ".join(told)


def _named(budget: Budget) -> str:
    """The name of a budget as the plot has it."""
    return budget.name.replace("_", " ").replace("json", "JSON")


def _beside(judged: Judged) -> str:
    mid = number(judged.measured.mid) if judged.measured else ""
    return f"{mid}, must be {_limit(judged.budget)}"


def _limit(budget: Budget) -> str:
    return f"{'≤' if budget.sense == AT_MOST else '≥'} {budget.budget:g}"


def _listed(parts: Sequence[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


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
    return section("budgets", "Does it hold its budgets?", parts)


def _bar(judged: Judged) -> Bar:
    assert judged.measured is not None  # noqa: S101  # only the measured are drawn
    used = sorted(_used(judged.budget, getattr(judged.measured, end)) for end in ("low", "high"))
    tone = "good" if judged.passed else "bad"
    mid = _used(judged.budget, judged.measured.mid)
    return Bar(_named(judged.budget), used[0], mid, used[1], tone)


def _used(budget: Budget, figure_: float) -> float:
    if budget.sense == AT_MOST:
        return figure_ / budget.budget
    return budget.budget / figure_ if figure_ > 0 else float("inf")


def _told(bar: Bar) -> str:
    return f"{bar.name}: {number(bar.mid)} of its budget"


def _row(judged: Judged) -> list[Cell]:
    budget = judged.budget
    word = verdict(judged)
    mark = "good" if judged.passed else "bad"
    shown = Safe(f'<span class="{mark}">{escape(word)}</span>')
    told: Cell = interval_text(judged.measured) if judged.measured else judged.why
    sign = "≤" if budget.sense == AT_MOST else "≥"
    return [budget.what, shown, told, f"{sign} {budget.budget:g}", f"{sign} {budget.aim:g}"]
