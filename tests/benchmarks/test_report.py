"""The page answers from the data, loads nothing, escapes all of it, and admits what it lacks."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from bench_runs import codecs_run, pair, service_run, without
from benchmarks.codecs.converting import CONVERTING, PLAIN
from benchmarks.harness.results import Case, Interval, Run, Sample, write_run
from benchmarks.report.__main__ import main
from benchmarks.report.codec_part import frontier
from benchmarks.report.labels import LINE_HEIGHT, Box, place, spread
from benchmarks.report.latency import knee
from benchmarks.report.page import render
from benchmarks.report.plot import Series, lines
from benchmarks.report.scale import Axis, fit, number, tick_text

HOSTILE = "\"><script>alert('x')</script>&<b>"


def page(*runs: Run) -> str:
    return render(runs or (service_run(), codecs_run()), command="make bench", files=["a.json"])


def plots(text: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.S)]


def words(text: str) -> str:
    """What a reader sees, tags left out."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def lead(text: str) -> str:
    """What a reader reads first."""
    return words(" ".join(re.findall(r'<p class="lead">(.*?)</p>', text, re.S)))


class Reader(HTMLParser):
    """Follows the tags, and knows where the page would load something from."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        told: Mapping[str, str | None] = dict(attrs)
        self.links += [told[name] or "" for name in ("src", "href", "data") if name in told]
        self.names += [told["id"] or ""] if "id" in told else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_loads_nothing() -> None:
    text = page()
    reader = read(text)
    assert {"script", "link", "img", "iframe", "object"} & set(reader.tags) == set()
    assert all(link.startswith("#") or link == "a.json" for link in reader.links)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert len(reader.names) == len(set(reader.names))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.names)


def test_it_has_a_style_for_the_dark_and_for_the_narrow() -> None:
    text = page()
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert "tabular-nums" in text


def test_every_plot_has_a_title_a_description_and_stays_inside_its_frame() -> None:
    shown = plots(page())
    assert len(shown) >= 16
    for plot in shown:
        title, told = plot.find("title"), plot.find("desc")
        assert title is not None
        assert title.text
        assert told is not None
        assert told.text
        assert plot.get("role") == "img"
        _, _, width, height = map(float, str(plot.get("viewBox")).split())
        for dot in plot.iter("circle"):
            assert 0 <= float(str(dot.get("cx"))) <= width
            assert 0 <= float(str(dot.get("cy"))) <= height


def test_every_plot_has_a_table_beneath() -> None:
    for part in re.findall(r"<section.*?</section>", page(), re.S):
        if "<svg" in part:
            assert part.rindex("<svg") < part.rindex("<table>")
    (codecs,) = re.findall(r'<section id="codecs".*?</section>', page(), re.S)
    assert codecs.count("<svg") == codecs.count("<table>") == 10


def test_the_first_paragraph_answers_with_ratios_and_their_intervals() -> None:
    told = lead(page())
    assert re.search(r"0\.4\d\d \(0\.4\d+ to 0\.4\d+\) for one call to a REST upstream", told)
    assert "14 of 14 budgets hold." in told
    assert "fail" not in told


def test_a_budget_that_fails_is_said_in_the_first_paragraph() -> None:
    told = lead(page(service_run(call=330), codecs_run(faster=6)))
    assert "9 of 14 budgets hold." in told
    assert "These fail:" in told
    assert "Call (0.9" in told
    assert "must be ≤ 0.75" in told
    assert "(6.00, must be ≥ 10)" in told


def test_what_was_not_measured_says_so_and_no_budget_of_it_holds() -> None:
    text = page(without(service_run(), ["sweep", "overload", "policies", "session"]))
    told = words(text)
    for anchor in ("latency", "policies", "sessions", "codecs", "stages", "transcode", "broker"):
        (part,) = re.findall(rf'<section id="{anchor}".*?</section>', text, re.S)
        assert "ot measured in this run." in part, anchor
    assert "Not measured in this run, so not held either: Session, 256 in flight" in told
    assert "missing" in told


def test_a_page_without_any_run_is_a_page() -> None:
    text = render((), command="make bench")
    read(text)
    assert "Nothing that was measured here says what a call costs" in text
    assert "0 of 14 budgets hold." in text


def test_whatever_comes_from_data_is_escaped() -> None:
    variant = {"width": HOSTILE, HOSTILE: 8, "shape": HOSTILE, "direction": HOSTILE, "on": HOSTILE}
    samples = tuple(
        Sample(side, {"cpu_us_per_call": 1.0 + i, "raw": 9.0 + i, HOSTILE: 1.0})
        for i, side in enumerate((HOSTILE, "interlace", "baseline"))
    )
    scenarios = ["fanout", "policies", "sweep", "transcode", "round_trip", "size", "memory"]
    scenarios += ["encode", "refused", HOSTILE]
    cases = tuple(
        Case(suite, scenario, variant, HOSTILE, samples, Interval(1, 2, 3), (HOSTILE,))
        for suite in ("service", "codecs")
        for scenario in scenarios
    )
    machine = {HOSTILE: {HOSTILE: [HOSTILE]}, "cpu": HOSTILE, "commit": HOSTILE}
    run = Run(1, HOSTILE, HOSTILE, machine, HOSTILE, cases)
    text = render([run], command=HOSTILE, files=[HOSTILE])
    reader = read(text)
    assert "script" not in reader.tags
    assert "b" not in reader.tags
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 40
    plots(text)


def test_a_transcode_has_one_row_a_shape_with_a_ratio_for_each_oracle() -> None:
    run = codecs_run()
    beside = tuple(
        replace(case, variant={**case.variant, "oracle": oracle}, ratio=Interval(1, ratio, 99))
        for case in run.cases
        if case.scenario == "transcode" and case.variant["direction"] == "protobuf_to_json"
        for oracle, ratio in (("json_format", 6.5), ("json_format indented", 9.5))
    )
    text = page(replace(run, cases=beside))
    (part,) = re.findall(r'<section id="transcode".*?</section>', text, re.S)
    assert "times json_format indented (95 %)" in part
    assert part.count("deep nested") == 1
    assert part.count("6.50 (") == part.count("9.50 (") == len({*PLAIN, *CONVERTING})


def test_a_library_hides_no_fact_of_the_machine() -> None:
    machine = {"protobuf": "upb", "libraries": {"protobuf": "6.33.6"}}
    told = words(page(replace(service_run(), machine=machine)))
    assert "protobuf upb" in told
    assert "version of protobuf 6.33.6" in told


def test_what_going_through_adds_is_told_for_each_that_was_measured() -> None:
    medians = {"interlace": 0.9, "baseline": 1.2, "direct": 0.2}
    samples = tuple(Sample(side, {"p50_ms": p50, "errors": 0.0}) for side, p50 in medians.items())
    added = Case("service", "added_latency", {"in_flight": 1}, "p50_ms", samples)
    run = service_run()
    told = words(page(replace(run, cases=(*run.cases, added))))
    assert "takes 0.200 ms straight to the upstream" in told
    assert "adds 0.700 ms through Interlace and 1.00 ms through the baseline" in told
    alone = replace(added, samples=samples[:2])
    assert "straight to the upstream, at" not in words(page(replace(run, cases=(alone,))))


def test_errors_stand_out_and_are_summed() -> None:
    cases = (pair("call", {}, 160, 360, more={"errors": 2.0}),)
    text = page(replace(service_run(), cases=cases))
    assert '<span class="bad">16</span>' in text


def test_it_is_written_with_the_raw_data_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "bench", tmp_path / "out"
    write_run(service_run(), folder / "service.json")
    assert main(["--folder", str(folder), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output / 'report.html'}\n"
    assert (output / "service.json").read_bytes() == (folder / "service.json").read_bytes()
    text = (output / "report.html").read_text()
    assert 'href="service.json"' in text
    assert "codecs.json" not in text
    assert str(tmp_path) not in text


def test_the_same_data_gives_the_same_page() -> None:
    assert page() == page()


def test_the_knee_is_the_highest_rate_that_is_served_in_time() -> None:
    cases = service_run().cases
    swept = [case for case in cases if case.scenario == "sweep"]
    assert knee(swept, "interlace") == 4_000
    assert knee(swept, "baseline") == 2_000
    assert knee(swept[:1], "interlace") is None
    assert knee([failing(case, from_rate=1_500) for case in swept], "interlace") == 1_000
    assert "knee 4,000/s" in page()


def failing(case: Case, *, from_rate: int) -> Case:
    """The same case with an error in each window from a rate on."""
    wrong = 1.0 if float(case.variant["rate"]) >= from_rate else 0.0
    samples = tuple(Sample(one.side, {**one.values, "errors": wrong}) for one in case.samples)
    return replace(case, samples=samples)


def test_the_frontier_holds_what_nothing_else_beats_in_both() -> None:
    found = [("small", 1.0, 9.0), ("fast", 9.0, 1.0), ("both", 5.0, 5.0), ("beaten", 6.0, 6.0)]
    assert frontier(found) == ["small", "fast", "both"]
    assert frontier([("a", 1.0, 1.0), ("b", 1.0, 1.0)]) == ["a", "b"]
    assert frontier([]) == []


def test_labels_lie_neither_on_each_other_nor_on_points() -> None:
    at = [(f"library-{n}", 200.0 + 14 * (n % 3), 120.0 + 9 * n) for n in range(8)]
    frame = Box(40, 0, 420, 260)
    labels = place(at, frame)
    for one, other in combinations(labels, 2):
        assert one.box.overlap(other.box) == 0
    for label in labels:
        assert label.box.outside(frame) == pytest.approx(0, abs=1e-6)
        assert all(label.box.overlap(Box(x - 4, y - 4, 8, 8)) < 20 for _, x, y in at)


def test_names_at_the_ends_of_lines_are_a_line_apart_and_in_order() -> None:
    heights = spread([100, 101, 99, 230], low=0, high=235)
    assert [heights.index(height) for height in sorted(heights)] == [2, 0, 1, 3]
    gaps = [below - above for above, below in pairwise(sorted(heights))]
    assert all(gap >= LINE_HEIGHT - 1e-9 for gap in gaps)


@pytest.mark.parametrize(
    "values",
    [[], [0.0], [5.0], [0.0, 0.0], [1e-9, 1e9], [3.0, 3.0], [-2.0, 7.0], [1, 9], [99, 101]],
)
@pytest.mark.parametrize("axis", [Axis("a"), Axis("a", log=True), Axis("a", log=False, zero=True)])
def test_a_scale_takes_any_values_and_ends_on_ticks(values: list[float], axis: Axis) -> None:
    scale = fit(values, axis, start=10, end=110)
    assert (scale.low, scale.high) == (scale.ticks[0], scale.ticks[-1])
    assert len(scale.ticks) >= 2
    assert [one < other for one, other in pairwise(scale.ticks)].count(False) == 0
    for value in values:
        assert 10 <= scale.at(value) <= 110
        if not scale.log:
            assert scale.low <= value <= scale.high


def test_numbers_have_three_digits_and_ticks_as_few_as_they_can() -> None:
    told = [number(one) for one in (0, 0.01234, 0.5, 1.5, 12.34, 999.6, 1234.0, 41_872.0)]
    assert told == ["0", "0.0123", "0.500", "1.50", "12.3", "1,000", "1,230", "41,900"]
    assert number(float("nan")) == "n/a"
    ticks = [tick_text(one) for one in (0, 0.5, 20, 2_500, 20_000, 1_500_000)]
    assert ticks == ["0", "0.5", "20", "2,500", "20k", "1.5M"]


def test_a_line_of_one_point_or_none_is_drawn_without_harm() -> None:
    shown = [Series("one", [(1.0, 2.0)]), Series("none", [])]
    plot = ET.fromstring(lines("t", "d", shown, x=Axis("x"), y=Axis("y")))
    assert len(list(plot.iter("circle"))) == 1
    assert "none" not in "".join(plot.itertext())
