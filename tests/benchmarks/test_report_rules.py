"""What the page shows, what it leaves out, and what it says beside a figure, rule by rule."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from bench_runs import MACHINE, codecs_run, pair, service_run
from benchmarks.harness.results import Case, Interval, Run, Sample, VariantValue, write_run
from benchmarks.report.__main__ import main
from benchmarks.report.data import Results, case_table
from benchmarks.report.markup import table
from benchmarks.report.measured import interval_of_median, shown_ratio, standing
from benchmarks.report.page import render
from benchmarks.report.wording import DASH, case_name, in_order, variant_text
from benchmarks.summary import read_runs

PUBLISHED = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def words(text: str) -> str:
    """What a reader sees, tags left out."""
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.S)
    return html.unescape(re.sub(r"\s+", " ", shown)).strip()


def run_of(*cases: Case) -> Run:
    return Run(1, "service", "2026-11-22T10:00:00+00:00", MACHINE, "make bench", cases)


def page(*cases: Case) -> str:
    return render([run_of(*cases)], command="make bench")


def part(text: str, anchor: str) -> str:
    (found,) = re.findall(rf'<section id="{anchor}".*?</section>', text, re.S)
    return str(found)


def lead(text: str) -> str:
    return words(" ".join(re.findall(r'<p class="lead">(.*?)</p>', text, re.S)))


def column(shown: str, head: str) -> list[str]:
    """The cells of a column of the first table, from its end: names may stand for two rows."""
    first = re.findall(r"<table>.*?</table>", shown, re.S)[0]
    heads = [words(one) for one in re.findall(r'<th scope="col".*?</th>', first, re.S)]
    back = heads.index(head) - len(heads)
    body = first.partition("<tbody>")[2]
    rows = [re.findall(r"<td.*?</td>", row, re.S) for row in body.split("<tr")[1:]]
    return [words(row[back]) for row in rows]


def valued(case: Case, **values: float | None) -> Case:
    """The same case with other values in every window; None leaves a key out."""
    samples = tuple(
        Sample(
            one.side,
            {key: value for key, value in {**one.values, **values}.items() if value is not None},
        )
        for one in case.samples
    )
    return replace(case, samples=samples)


def with_ratio(case: Case, low: float, mid: float, high: float) -> Case:
    return replace(case, ratio=Interval(low, mid, high))


def few(case: Case, windows: int) -> Case:
    """The same case with that many windows of each side."""
    return replace(case, samples=case.samples[: 2 * windows])


def test_rows_stand_in_numeric_order_whatever_the_order_of_the_records() -> None:
    cases = [pair("fanout", {"width": width}, 200, 400) for width in (8, 32, 1, 4, 16)]
    shown = part(page(*cases), "fanout")
    names = [f"{n} branches" if n > 1 else "1 branch" for n in (1, 4, 8, 16, 32)]
    places = [shown.index(f">{name}</th>") for name in names]
    assert places == sorted(places)


def test_all_of_the_policies_stand_behind_each_of_them() -> None:
    names = ["all", "retry", "breaker"]
    cases = [pair("policies", {"on": name}, 10, 9, beside="policies_off") for name in names]
    told = [variant_text(case) for case in in_order(cases)]
    assert told == ["retry on", "breaker on", "all policies on"]


@pytest.mark.parametrize(
    ("scenario", "variant", "name"),
    [
        ("call", {"upstreams": 1}, "Call, 1 upstream"),
        ("slow_branch", {"width": 8, "slow_ms": 500}, "FanOut, 8 branches, one of them 500 ms"),
        ("payload", {"kind": "json_to_msgpack", "kb": 1000}, "JSON to MessagePack, 1,000 kB"),
        ("subscribe_odd", {"subscribers": 9, "stalled": 0, "batch": 1}, "published one at a time"),
        ("subscribe_odd", {"subscribers": 9, "stalled": 1, "batch": 8}, "1 of them reads nothing"),
        (
            "payload",
            {"kind": "json_through_msgpack", "kb": 1, "way": "both"},
            "JSON through MessagePack, 1 kB, request and answer",
        ),
        ("tls", {"tls": "on"}, "Call, TLS on"),
        ("overload", {"share": 150}, "150 % of its own ceiling"),
        ("new_thing", {"new_key": "new_value"}, "new thing, new key new value"),
    ],
)
def test_a_case_has_a_name_for_people(
    scenario: str, variant: Mapping[str, VariantValue], name: str
) -> None:
    assert name in case_name(Case("service", scenario, variant, "us"))


def test_no_identifier_is_shown_neither_of_a_plausible_run_nor_of_the_published_one() -> None:
    published = [read_runs(folder) for folder in sorted(PUBLISHED.iterdir()) if folder.is_dir()]
    for runs in ([service_run(), codecs_run()], *published):
        text = render(runs, command="")
        told = words(re.sub(r"<code>.*?</code>", "", text.replace(part(text, "machine"), "")))
        raw = set(re.findall(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", told))
        assert raw - {"json_format"} == set()


def test_a_p999_needs_ten_thousand_calls_and_a_p99_a_hundred() -> None:
    shown = [
        case_table("t", [valued(pair("call", {}, 9, 10), calls=calls)])
        for calls in (99, 100, 9_999, 10_000)
    ]
    assert [column(one, "p99 ms")[0] for one in shown] == [DASH, "3.40", "3.40", "3.40"]
    assert [column(one, "p99.9 ms")[0] for one in shown] == [DASH, DASH, DASH, "8.10"]


def test_latencies_of_a_feed_are_counted_by_batches_not_by_events() -> None:
    case = valued(pair("subscribe", {"subscribers": 100}, 1, 30), calls=100 * 64 * 99)
    said = replace(case, notes=("published 64 at a time, at most 512 ahead of the slowest",))
    more = valued(said, calls=100 * 64 * 100)
    assert column(case_table("t", [said]), "p99 ms") == [DASH, DASH]
    assert column(case_table("t", [more]), "p99 ms") == ["3.40", "3.40"]


@pytest.mark.parametrize("nothing", [0.0, None])
def test_a_dash_stands_where_nothing_was_measured(nothing: float | None) -> None:
    case = pair("call", {}, 9, 10)
    half = replace(case, samples=tuple(
        valued(case, p50_ms=nothing).samples[index] if one.side == "baseline" else one
        for index, one in enumerate(case.samples)
    ))  # fmt: skip
    assert column(case_table("t", [half]), "p50 ms") == ["1.20", DASH]


def test_a_slow_branch_shows_no_rate() -> None:
    slow = pair("slow_branch", {"width": 8, "slow_ms": 500}, 400, 900, more={"rate": 511.0})
    fast = pair("fanout", {"width": 8}, 400, 900, more={"rate": 1_900.0})
    shown = part(page(fast, slow), "fanout")
    assert "1,900" in shown
    assert "511" not in shown


def test_a_share_says_whose_ceiling_it_is_of_and_how_much_of_the_other_one() -> None:
    swept = [
        Case("service", "sweep", {"share": share}, "p99_ms", (
            Sample("interlace", {"offered": 40.0 * share, "p99_ms": 2.0, "calls": 500}),
            Sample("baseline", {"offered": 40.0 * share, "p99_ms": 3.0, "calls": 500}),
        ))
        for share in (100, 10)
    ]  # fmt: skip
    beyond = Case("service", "overload", {"share": 150}, "p99_ms", (
        Sample("interlace", {"offered": 6_000.0}), Sample("baseline", {"offered": 3_000.0}),
    ))  # fmt: skip
    shown = part(page(*swept, beyond), "latency")
    assert "Interlace 4,000/s and baseline 2,000/s" in words(shown)
    assert shown.index("10 % of Interlace") < shown.index("100 % of Interlace")
    assert column(shown, "of its own ceiling") == ["10 %", "20 %", "100 %", "200 %"]


def test_older_records_say_that_late_answers_were_not_timed_and_newer_ones_do_not() -> None:
    case = valued(pair("overload", {"share": 150}, 9, 10), offered=100.0)
    assert "its true latency is higher" in page(case)
    newer = valued(case, goodput=80.0, goodput_share=0.93, too_late=7.0, status_8=20.0)
    shown = page(newer)
    assert "its true latency is higher" not in shown
    assert column(part(shown, "latency"), "in time, share of its ceiling") == ["0.930"] * 2
    assert "refused, resource exhausted" in shown


def test_the_lead_names_every_case_that_costs_more_the_worst_first_as_large_as_the_rest() -> None:
    cases = [
        with_ratio(pair("nats", {"batch": 16}, 160, 90), 1.6, 1.75, 1.8),
        with_ratio(pair("payload", {"kind": "json_to_msgpack", "kb": 10}, 3, 1), 2.5, 2.63, 3.1),
        with_ratio(pair("call", {}, 1, 2), 0.4, 0.5, 0.6),
        with_ratio(pair("tls", {"tls": "on"}, 1, 1), 0.9, 1.02, 1.1),
    ]
    text = page(*cases)
    told = lead(text)
    assert "It costs more than the baseline in 2 of 4 cases: JSON to MessagePack, 10 kB" in told
    assert told.index("2.63 times (2.50 to 3.10)") < told.index("1.75 times (1.60 to 1.80)")
    assert "In 1 more the interval holds both less and more." in told
    shown = words(part(text, "dearer"))
    assert "Not to be told apart, since the interval holds 1: Call, TLS on 1.02" in shown


def test_many_dear_cases_are_all_in_the_table_and_the_lead_says_how_many_more() -> None:
    cases = [
        with_ratio(pair("payload", {"kind": "json", "kb": size}, 3, 1), 2.9, 3, 3.1)
        for size in range(1, 10)
    ]
    text = page(*cases)
    assert "in 9 of 9 cases" in lead(text)
    assert "; and 3 more." in lead(text)
    assert part(text, "dearer").count("<tr>") == 10


def test_a_library_that_is_beaten_by_another_is_dearer_too() -> None:
    variant = {"direction": "json_to_protobuf", "shape": "longs", "oracle": "json_format"}
    samples = tuple(Sample(side, {"us": 1.0}) for side in ("interlace", "json_format"))
    case = Case("codecs", "transcode", variant, "us", samples, Interval(0.4, 0.5, 0.6))
    assert standing(case) == "more"
    assert "2.00 (1.67" in words(part(page(case), "dearer"))


def sided(case: Case, key: str, ours: float, theirs: float) -> Case:
    """The same case with another figure of each side in every window."""
    samples = tuple(
        Sample(one.side, {**one.values, key: ours if one.side == "interlace" else theirs})
        for one in case.samples
    )
    return replace(case, samples=samples)


def test_more_memory_and_a_longer_p99_stand_in_the_lead_and_less_does_not() -> None:
    case = pair("call", {}, 1, 2)
    dear = page(sided(sided(case, "rss_mb", 88, 44), "p99_ms", 6, 4))
    for told in (lead(dear), words(part(dear, "dearer"))):
        assert "The resident memory of the serving process is higher in 1 of 1 cases" in told
        assert "2.00 times" in told
        assert "The p99 of latency is higher in 1 of 1 cases" in told
    cheap = page(sided(sided(case, "rss_mb", 44, 88), "p99_ms", 4, 6))
    assert "higher" not in lead(cheap)
    assert "The p99 of latency is higher in none of 1 cases." in words(part(cheap, "dearer"))


def test_an_overload_that_interlace_answers_less_of_stands_in_the_lead() -> None:
    case = pair("overload", {"share": 150}, 1, 2)
    behind, ahead = (
        page(sided(case, "goodput_share", ours, theirs))
        for ours, theirs in ((0.15, 0.96), (0.97, 0.15))
    )
    assert "Interlace answers 15 % of that ceiling in time, the baseline 96 %" in lead(behind)
    assert "Offered 150 %" not in lead(ahead)
    assert "Interlace answers 97 % of that ceiling" in words(part(ahead, "latency"))


def test_an_outage_that_lasts_longer_for_interlace_stands_in_the_lead() -> None:
    case = pair("recovery", {"outage_s": 0.2}, 1, 2)
    later, sooner = (
        page(sided(case, "recovered_ms", ours, theirs)) for ours, theirs in ((4840, 5), (5, 4840))
    )
    told = "After an upstream was gone for 0.2 s, Interlace answers again 4,840 ms after its return"
    assert told in lead(later)
    assert told in words(part(later, "dearer"))
    assert "After an upstream" not in lead(sooner)
    assert "answers again 5.00 ms after its return" in words(part(sooner, "dearer"))
    assert "gone for 0.2 s" in words(part(later, "recovery"))


def test_an_overload_that_was_none_is_told_as_such_and_claims_nothing() -> None:
    case = pair("overload", {"share": 150}, 1, 2)
    eased = page(sided(case, "goodput_share", 1.5, 0.27))
    told = words(part(eased, "latency"))
    assert "Interlace answered more than that ceiling in a window" in told
    assert "this was no overload" in told
    assert "Interlace answers" not in told
    assert "Offered 150 %" not in lead(eased)


def test_if_nothing_costs_more_it_says_of_how_many() -> None:
    assert "In none of 1 cases does it cost more" in lead(page(pair("call", {}, 1, 2)))


def test_a_case_with_an_error_shows_no_ratio_and_takes_no_side() -> None:
    case = pair("call", {}, 160, 360, more={"errors": 2.0})
    assert case.ratio is not None
    assert shown_ratio(case) is None
    assert standing(case) is None
    assert f">{DASH}<" in case_table("t", [case])


def test_few_pairs_are_said_beside_the_ratio_and_no_verdict_of_them_is_clear() -> None:
    for windows, told in ((2, "2 pairs, covers 50 %"), (5, "5 pairs, covers 94 %")):
        text = page(few(pair("idle_subscriber", {"subscribers": 9}, 26, 22), windows))
        assert told in words(part(text, "feeds"))
        assert "passed, by too few windows to be sure" in part(text, "budgets")
        assert "clearly" not in part(text, "budgets")
    enough = page(pair("idle_subscriber", {"subscribers": 9}, 26, 22))
    assert "covers" not in part(enough, "feeds")
    assert "clearly passed" in part(enough, "budgets")


def test_an_interval_of_a_median_counts_ranks_and_needs_six_values() -> None:
    assert interval_of_median(range(1, 21)) == (6, 15)
    assert interval_of_median(range(1, 7)) == (1, 6)
    assert interval_of_median(range(1, 6)) is None
    assert interval_of_median([]) is None


def timed(*, slower: float) -> Case:
    """Two libraries over 20 rounds, the second one so many times as slow."""
    samples = tuple(
        Sample(name, {"cpu_us_per_call": (1 + number / 100) * times})
        for name, times in (("one", 1.0), ("other", slower))
        for number in range(20)
    )
    variant = {"shape": "long_text", "tier": "typed"}
    return Case("codecs", "encode", variant, "cpu_us_per_call", samples)


def test_nobody_wins_where_the_intervals_overlap_and_the_spread_stands_beside() -> None:
    apart, close = (part(page(timed(slower=times)), "stages") for times in (2.0, 1.05))
    assert re.search(r'<strong>1\.10<span class="aside"> \(0\.095\)</span></strong>', apart)
    assert apart.count("<strong>") == 1
    assert "<strong>" not in close
    assert close.count('class="aside"') == 2


def test_the_table_of_a_frontier_leaves_open_what_overlaps() -> None:
    small, large = 10.0, 20.0

    def both(slower: float) -> str:
        rounds = replace(timed(slower=slower), scenario="round_trip")
        sizes = (Sample("one", {"raw": small}), Sample("other", {"raw": large}))
        size = Case("codecs", "size", {"shape": "long_text"}, "raw", sizes)
        return part(page(rounds, size), "codecs")

    places = [column(both(slower), "on the frontier") for slower in (2.0, 1.05, 0.5)]
    assert places == [["yes", "no"], ["yes", "open"], ["yes", "yes"]]


def test_conditions_stand_beside_the_figures() -> None:
    fed = with_ratio(pair("subscribe", {"subscribers": 100}, 1, 32), 0.03, 0.031, 0.04)
    fed = replace(fed, notes=("published 64 at a time, at most 512 ahead of the slowest",))
    one, eight = (
        with_ratio(
            pair("subscribe_odd", {"subscribers": 100, "stalled": 0, "batch": batch}, 3, 4),
            *(ratio, ratio, ratio),
        )
        for batch, ratio in ((1, 0.8), (8, 0.16))
    )
    text = render([run_of(one, eight, fed, pair("call", {}, 1, 2)), codecs_run()], command="")
    assert "when published 64 at a time, 6.25 times 8 at a time and 1.25 times one at" in lead(text)
    assert "a library so far: no call of the service runs it" in lead(text)
    assert "a library so far" in part(text, "transcode")
    for place in (words(text).partition("Dearer")[0], words(part(text, "call"))):
        assert "widened from 64 to 512 in flight" in place
        assert "one core, which its event loop and gRPC's poller share" in place
        assert "patient threads" in place


def test_a_server_with_cores_to_spare_shares_none() -> None:
    machine = {**MACHINE, "given": {"server": [0, 1]}}
    text = render([replace(service_run(), machine=machine)], command="")
    assert "patient threads" in text
    assert "event loop and gRPC's poller share" not in words(text)


def test_a_dirty_checkout_and_a_quick_run_are_said_in_words() -> None:
    run = replace(
        service_run(), machine={**MACHINE, "commit": "0123456789ab+"}, command="x --quick"
    )
    told = words(render([run], command=""))
    assert told.count("commit 0123456789ab plus uncommitted changes") == 2
    assert "0123456789ab+" not in told
    assert "quick run of short windows: service" in told
    assert "quick run" not in words(page())


def test_a_folder_of_a_day_holds_the_runs_of_that_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(service_run(), tmp_path / "service.json")
    wrong, right = tmp_path / "2026-11-23", tmp_path / "2026-11-22"
    assert main(["--folder", str(tmp_path), "--output", str(wrong)]) == 2
    assert "named 2026-11-23, the runs started on 2026-11-22" in capsys.readouterr().err
    assert not wrong.exists()
    assert main(["--folder", str(tmp_path), "--output", str(right)]) == 0
    assert "2026-11-22" in (right / "report.html").read_text()


def test_other_raw_data_is_copied_and_linked_where_it_lies_beside_the_runs(tmp_path: Path) -> None:
    write_run(service_run(), tmp_path / "in" / "service.json")
    (tmp_path / "in" / "soak.json").write_text("{}")
    out = tmp_path / "out"
    assert main(["--folder", str(tmp_path / "in"), "--output", str(out)]) == 0
    assert (out / "soak.json").read_text() == "{}"
    assert 'href="soak.json"' in (out / "report.html").read_text()


def test_a_name_stands_for_the_rows_beneath_it_that_have_none() -> None:
    shown = table("t", ["a", "b"], [["x", "1"], ["", "2"], ["y", "3"]])
    assert '<th scope="rowgroup" rowspan="2">x</th>' in shown
    assert '<tr class="same"><td class="n">2</td></tr>' in shown
    assert '<th scope="row">y</th>' in shown


def test_a_table_of_the_service_has_few_columns_and_the_rest_lies_folded_beneath() -> None:
    case = pair("call", {}, 1, 2, more={"rate": 5.0, "busy": 1.0, "load_busy": 0.2, "late_ms": 3.0})
    first, _, beneath = case_table("t", [case]).partition("<details>")
    assert first.count('scope="col"') == 9
    assert "load generator, latest send, ms" in beneath
    assert "resident memory, MB" in beneath


def test_cases_that_differ_in_more_than_the_axis_have_lines_of_their_own() -> None:
    cases = [
        pair("fanout", {"width": width, "kind": kind}, 9, 10)
        for width in (1, 8)
        for kind in ("json", "msgpack")
    ]
    text = part(page(*cases), "fanout")
    assert text.count("<polyline") == 4
    assert "Interlace, MessagePack" in text


def test_results_of_parts_are_found_in_order() -> None:
    runs = tuple(run_of(pair("fanout", {"width": width}, 1, 2)) for width in (8, 1))
    assert [case.variant["width"] for case in Results(runs).find("fanout")] == [1, 8]
