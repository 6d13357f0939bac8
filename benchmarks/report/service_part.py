"""The sections about the service: a question, a plot where one helps, and its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.harness.results import BASELINE, DIRECT, INTERLACE, Case
from benchmarks.report.balance import in_short
from benchmarks.report.conditions import OF_BOTH, published, threads
from benchmarks.report.data import Results, case_table
from benchmarks.report.latency import latency
from benchmarks.report.markup import Safe, figure, paragraph, section, strong
from benchmarks.report.measured import middle_of, shown_ratio
from benchmarks.report.plot import Bar, Series, intervals, lines
from benchmarks.report.scale import Axis, number
from benchmarks.report.wording import peer_name, scenario_name, side_name, variant_text

__all__ = ["SECTIONS", "service_sections"]

Part = Callable[[Results], list[str]]


def _plot_by(
    cases: Sequence[Case], variant: str, key: str, *, title: str, x: Axis, y: Axis
) -> list[str]:
    """A plot of one figure of both sides against one key of the variant; none below two points.

    Cases that differ in more than that key get a line of their own for each side.
    """
    groups = dict.fromkeys(_rest(case, variant) for case in cases)
    series = []
    for side, tone in ((INTERLACE, "ours"), (BASELINE, "theirs")):
        for rest, dash in zip(groups, ("", " dash", " fine", *("" for _ in groups)), strict=False):
            same = [case for case in cases if _rest(case, variant) == rest]
            found = [(one.variant.get(variant), middle_of(one, side, key)) for one in same]
            at = [(float(a), b) for a, b in found if isinstance(a, int | float) and b is not None]
            name = side_name(side) + (f", {rest}" if len(groups) > 1 else "")
            series.append(Series(name, sorted(at), tone + dash))
    shown = [one for one in series if len(one.points) > 1]
    if not shown:
        return []
    plot = lines(title, _in_words(shown, x.label, y.label), shown, x=x, y=y)
    return ['<div class="plots">', figure(plot, title), "</div>"]


def _rest(case: Case, variant: str) -> str:
    """What tells cases apart beside one key."""
    return variant_text(case, without=(variant,))


def _in_words(series: Sequence[Series], x: str, y: str) -> str:
    told = [
        f"{one.name}: " + ", ".join(f"{number(b)} at {number(a)}" for a, b in one.points)
        for one in series
    ]
    return f"{y} against {x}. " + "; ".join(told)


def _call(results: Results) -> list[str]:
    cases = results.find("call")
    raw, added = results.find("raw_unary"), results.find("added_latency")
    return [
        *in_short(cases),
        paragraph(f"{OF_BOTH} {threads(results.runs)}", kind="soft"),
        case_table("Call to one REST upstream, passed through", cases),
        *(part for case in added for part in _added(case)),
        *_where_measured("One call at a time, and what going through adds", added),
        *_where_measured("The same call, driven by public load generators", raw),
    ]


def _added(case: Case) -> list[Safe]:
    """What stands between a caller and the upstream adds to the median of one call."""
    straight = middle_of(case, DIRECT, "p50_ms")
    if straight is None:
        return []
    told = [
        f"{strong(f'{number(p50 - straight)} ms')} through {peer_name(side)}"
        for side in (INTERLACE, BASELINE)
        if (p50 := middle_of(case, side, "p50_ms")) is not None
    ]
    said = (
        f"One call at a time takes {number(straight)} ms straight to the upstream, at the median. "
        f"What stands in between adds {' and '.join(told)}."
    )
    return [paragraph(Safe(said))]


def _fanout(results: Results) -> list[str]:
    cases = results.find("fanout")
    plot = _plot_by(
        *(cases, "width", "cpu_us_per_call"),
        title="CPU time of the serving process per fan-out, by its width",
        x=Axis("branches", log=False, zero=True),
        y=Axis("CPU µs per call", log=False, zero=True),
    )
    slow = results.find("slow_branch", "fanout_slow")
    said = (
        "With one branch 500 ms slow, a call takes that long on both sides, and a window holds "
        "one wave of calls: a rate would say nothing."
    )
    return [
        *in_short(cases),
        *plot,
        case_table("FanOut by width", cases),
        *([paragraph(said)] if slow else []),
        case_table("FanOut with one branch 500 ms slow", slow),
    ]


def _sessions(results: Results) -> list[str]:
    cases = results.find("session")
    plot = _plot_by(
        *(cases, "in_flight", "cpu_us_per_call"),
        title="CPU time per call in one session, by calls in flight",
        x=Axis("calls in flight", log=True),
        y=Axis("CPU µs per call", log=False, zero=True),
    )
    beside = results.find("session_beside_stream")
    return [
        *in_short(cases),
        *plot,
        case_table("Session beside unary calls of the baseline, as many in flight", cases),
        *in_short(beside),
        *_where_measured(
            "Session beside a stream of the baseline that carries one call per message", beside
        ),
    ]


def _where_measured(caption: str, cases: Sequence[Case]) -> list[str]:
    """A table of what only a whole run has; nothing in a quick one."""
    return [case_table(caption, cases)] if cases else []


def _feeds(results: Results) -> list[str]:
    cases = results.find("subscribe")
    plot = _plot_by(
        *(cases, "subscribers", "rate"),
        title="Events per second at saturation, all subscribers together",
        x=Axis("subscribers", log=True),
        y=Axis("events per s", log=True),
    )
    how = published(results)
    said = (
        f"Events are {how or 'published in batches'}, one Publish under way at a time: smaller "
        "batches saturate a feed less, and bring less. A call is an event at one subscriber; "
        "publishing is charged to the server too. A latency is that of a whole batch at its last "
        "subscriber."
    )
    odd, idle = results.find("subscribe_odd"), results.find("idle_subscriber")
    return [
        *([paragraph(said)] if cases else []),
        *in_short(cases),
        *plot,
        case_table(f"Subscribe, one feed, {how}" if how else "Subscribe, one feed", cases),
        *in_short(odd),
        *_where_measured(
            "Smaller batches, and one subscriber that reads nothing among the others", odd
        ),
        *in_short(idle),
        case_table("Memory of an idle subscriber", idle),
    ]


def _broker(results: Results) -> list[str]:
    cases = results.find("nats", "nats_publish", "nats_consume", "publish")
    return [*in_short(cases), case_table("NATS with JetStream", cases)]


def _recovery(results: Results) -> list[str]:
    cases = results.find("recovery")
    said = (
        "The breaker gives up on an upstream that is gone, so that calls fail at once and the "
        "upstream is spared; by default it asks again after 5 s. That is what Interlace takes "
        "longer to be well again. The baseline asks every time."
    )
    return [
        *([paragraph(said)] if cases else []),
        case_table("An upstream that resets its connections, refuses, and comes back", cases),
    ]


def _policies(results: Results) -> list[str]:
    cases = results.find("policies")
    shown = [_overhead(one) for one in cases if shown_ratio(one)]
    parts: list[str] = []
    if shown:
        told = ". ".join(f"{bar.name}: {number(bar.mid)} times all off" for bar in shown)
        plot = intervals(
            *("Cost of each policy beside all off", told, shown),
            x=Axis("CPU per call beside all policies off, with its 95 % interval", log=False),
            limit=(1.0, "all off"),
        )
        caption = "FanOut of 8: each policy alone, then all of them."
        parts.append(f'<div class="broad">{figure(plot, caption)}</div>')
    beside = "The other side is Interlace with nothing but a deadline of 300 s."
    whose = [paragraph(beside)] if cases else []
    return [*in_short(cases), *whose, *parts, case_table("Policies", cases)]


def _overhead(case: Case) -> Bar:
    ratio = shown_ratio(case)
    assert ratio is not None  # noqa: S101  # only those with a ratio are drawn
    return Bar(variant_text(case, without=("width",)), ratio.low, ratio.mid, ratio.high, "ours")


def _payloads(results: Results) -> list[str]:
    cases, tls = results.find("payload"), results.find("tls")
    return [
        *in_short(cases),
        case_table("Payloads by format and size", cases),
        *in_short(tls),
        case_table("TLS off and on", tls),
    ]


def _scale(results: Results) -> list[str]:
    workers, boot = results.find("workers"), results.find("boot")
    return [
        *in_short(workers),
        case_table("CPU per call with several workers", workers),
        *in_short(boot),
        case_table("Boot to serving", boot),
    ]


SECTIONS: tuple[tuple[str, str, str, Part], ...] = (
    ("call", "Call", "What does one call cost?", _call),
    (
        "fanout",
        "Fan-out",
        "What does a fan-out cost, and does a slow branch hold up the rest?",
        _fanout,
    ),
    ("sessions", "Sessions", "What does a call cost within a session?", _sessions),
    ("feeds", "Feeds", "How many events reach how many subscribers?", _feeds),
    ("broker", "NATS", "What do publishing and consuming cost?", _broker),
    ("latency", "Latency", "How long does a call take under load?", latency),
    (
        "recovery",
        "Recovery",
        "How soon is it well again after its upstream was gone?",
        _recovery,
    ),
    ("policies", "Policies", "What does each policy cost?", _policies),
    ("payloads", "Payloads", "What do size, format and TLS cost?", _payloads),
    ("scale", "Workers", "What do workers and boot cost?", _scale),
)
_KNOWN = (
    *("call", "fanout", "slow_branch", "fanout_slow", "session", "subscribe", "idle_subscriber"),
    *("session_beside_stream", "subscribe_odd"),
    *("nats", "nats_publish", "nats_consume", "publish", "policies", "payload", "tls", "workers"),
    *("boot", "sweep", "latency", "overload", "raw_unary", "added_latency", "recovery"),
)


def service_sections(results: Results) -> list[Safe]:
    """Return every section about the service; what was not measured says so."""
    parts = [section(anchor, heading, part(results)) for anchor, _, heading, part in SECTIONS]
    rest = [one for one in results.cases if one.suite == "service" and one.scenario not in _KNOWN]
    if rest:
        named = dict.fromkeys(one.scenario for one in rest)
        tables = [case_table(scenario_name(name), results.find(name)) for name in named]
        parts.append(section("more", "What else was measured?", tables))
    return parts
