"""The sections about the service: a question, a plot where one helps, and its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.figures import middle
from benchmarks.harness.results import BASELINE, INTERLACE, Case
from benchmarks.report.data import Results, case_table, variant_text
from benchmarks.report.latency import latency
from benchmarks.report.markup import Safe, figure, paragraph, section
from benchmarks.report.plot import Bar, Series, intervals, lines
from benchmarks.report.scale import Axis, number

__all__ = ["SECTIONS", "service_sections"]

Part = Callable[[Results], list[str]]


def _plot_by(
    cases: Sequence[Case], variant: str, key: str, *, title: str, x: Axis, y: Axis
) -> list[str]:
    """A plot of one figure of both sides against one key of the variant; none below two points."""
    series = []
    for side, tone in ((INTERLACE, "ours"), (BASELINE, "theirs")):
        found = [(one.variant.get(variant), middle(one, side, key)) for one in cases]
        at = [(float(x_), y_) for x_, y_ in found if isinstance(x_, int | float) and y_ is not None]
        series.append(Series(side, sorted(at), tone))
    shown = [one for one in series if len(one.points) > 1]
    if not shown:
        return []
    plot = lines(title, _in_words(shown, x.label, y.label), shown, x=x, y=y)
    return ['<div class="plots">', figure(plot, title), "</div>"]


def _in_words(series: Sequence[Series], x: str, y: str) -> str:
    told = [
        f"{one.name}: " + ", ".join(f"{number(b)} at {number(a)}" for a, b in one.points)
        for one in series
    ]
    return f"{y} against {x}. " + "; ".join(told)


def _call(results: Results) -> list[str]:
    return [case_table("Call to one REST upstream, passed through", results.find("call"))]


def _fanout(results: Results) -> list[str]:
    cases = results.find("fanout")
    plot = _plot_by(
        *(cases, "width", "cpu_us_per_call"),
        title="CPU time of the serving process per fan-out, by its width",
        x=Axis("branches", log=False, zero=True),
        y=Axis("CPU µs per call", log=False, zero=True),
    )
    slow = results.find("slow_branch", "fanout_slow")
    return [
        *plot,
        case_table("FanOut by width", cases),
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
    said = (
        "The baseline has no sessions: beside each stands its unary call, with as many in flight."
    )
    return [
        paragraph(said),
        *plot,
        case_table("Session by calls in flight", cases),
        *_where_measured(
            "Session beside the baseline's own stream", results.find("session_beside_stream")
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
    said = "A call is an event at one subscriber. What is judged is CPU time per event."
    return [
        paragraph(said),
        *plot,
        case_table("Subscribe, one feed, by subscribers", cases),
        *_where_measured(
            "With one that reads nothing among them, and events published one by one",
            results.find("subscribe_odd"),
        ),
        case_table("Memory of an idle subscriber", results.find("idle_subscriber")),
    ]


def _broker(results: Results) -> list[str]:
    return [case_table("NATS", results.find("nats", "nats_publish", "nats_consume", "publish"))]


def _policies(results: Results) -> list[str]:
    cases = results.find("policies")
    shown = [_overhead(one) for one in cases if one.ratio]
    parts: list[str] = []
    if shown:
        told = ". ".join(f"{bar.name}: {number(bar.mid)} times all off" for bar in shown)
        plot = intervals(
            *("Cost of each policy beside all off", told, shown),
            x=Axis("CPU per call beside all policies off, with its 95 % interval", log=False),
            limit=(1.0, "all off"),
        )
        caption = "FanOut of 8, policies switched on one at a time and all together."
        parts.append(f'<div class="broad">{figure(plot, caption)}</div>')
    return [*parts, case_table("Policies", cases)]


def _overhead(case: Case) -> Bar:
    ratio = case.ratio
    assert ratio is not None  # noqa: S101  # only those with a ratio are drawn
    return Bar(variant_text(case, without=("width",)), ratio.low, ratio.mid, ratio.high, "ours")


def _payloads(results: Results) -> list[str]:
    return [
        case_table("The whole hot path, by size and format", results.find("payload")),
        case_table("TLS off and on", results.find("tls")),
    ]


def _scale(results: Results) -> list[str]:
    return [
        case_table("Workers", results.find("workers")),
        case_table("Boot to serving, 50 connectors", results.find("boot")),
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
    ("policies", "Policies", "What does each policy cost?", _policies),
    ("payloads", "Payloads", "What do size, format and TLS cost?", _payloads),
    ("scale", "Workers", "What do workers and boot cost?", _scale),
)
_KNOWN = (
    *("call", "fanout", "slow_branch", "fanout_slow", "session", "subscribe", "idle_subscriber"),
    *("session_beside_stream", "subscribe_odd"),
    *("nats", "nats_publish", "nats_consume", "publish", "policies", "payload", "tls", "workers"),
    *("boot", "sweep", "latency", "overload"),
)


def service_sections(results: Results) -> list[Safe]:
    """Return every section about the service; what was not measured says so."""
    parts = [section(anchor, heading, part(results)) for anchor, _, heading, part in SECTIONS]
    rest = [one for one in results.cases if one.suite == "service" and one.scenario not in _KNOWN]
    if rest:
        named = dict.fromkeys(one.scenario for one in rest)
        tables = [case_table(name.replace("_", " "), results.find(name)) for name in named]
        parts.append(section("more", "What else was measured?", tables))
    return parts
