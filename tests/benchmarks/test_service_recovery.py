"""What an outage cost is judged by the calls that it met, and by those after it."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from benchmarks.harness.results import Case, Run, Sample
from benchmarks.report.data import Results
from benchmarks.report.service_part import service_sections
from benchmarks.service.recovery import LIMIT, STEADY, _Call, _judge, _Side

DOWN, UP = 10.0, 11.0


def side(*calls: tuple[float, float, str], name: str = "interlace") -> _Side:
    return _Side(name, cast("Any", None), [_Call(*each) for each in calls])


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [UP + 2.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    return clock


@pytest.mark.usefixtures("now")
def test_figures_of_an_outage() -> None:
    sample, troubles = _judge(
        side(
            (9.0, 9.01, ""), (10.0, 10.02, "UPSTREAM_UNAVAILABLE"), (10.1, 10.104, "BREAKER_OPEN"),
            (10.2, 10.204, "BREAKER_OPEN"), (11.1, 11.15, "BREAKER_OPEN"), (11.2, 11.25, ""),
            (12.5, 12.51, ""),
        ),
        DOWN,
        UP,
    )  # fmt: skip
    assert troubles == []
    told = {name: round(value, 3) for name, value in sample.values.items()}
    assert told == {
        "recovered_ms": 250.0, "whole_ms": 150.0, "failed": 4.0, "calls": 7.0,
        "failed_p50_ms": 12.0, "opened_ms": 104.0,
    }  # fmt: skip


@pytest.mark.usefixtures("now")
def test_who_has_no_breaker_never_gives_up() -> None:
    sample, _ = _judge(side((10.0, 10.01, "UNAVAILABLE"), (12.0, 12.1, "")), DOWN, UP)
    assert "opened_ms" not in sample.values
    assert sample.values["whole_ms"] == 0.0


@pytest.mark.usefixtures("now")
def test_what_fails_before_the_outage_fails_the_case() -> None:
    _, troubles = _judge(side((9.0, 9.5, "another answer"), (12.5, 12.6, "")), DOWN, UP)
    assert troubles == ["interlace: another answer before the outage"]


@pytest.mark.parametrize("last", [(12.8, 12.9, "BREAKER_OPEN"), (11.0, 11.1, "")])
@pytest.mark.usefixtures("now")
def test_who_is_not_well_again_fails_the_case(last: tuple[float, float, str]) -> None:
    sample, troubles = _judge(side((10.0, 10.1, "UNAVAILABLE"), last), DOWN, UP)
    assert troubles == [f"interlace: not well again {LIMIT:g} s after its upstream was"]
    if last[2]:
        assert sample.values["recovered_ms"] == LIMIT * 1e3


def test_it_takes_a_while_without_a_failure_to_be_well(now: list[float]) -> None:
    well = side((UP, UP + 0.1, ""), (UP + 0.5, UP + 0.6, ""))
    now[0] = UP + 0.7
    assert not well.is_steady(UP)
    now[0] = UP + STEADY + 0.05
    assert well.is_steady(UP)
    well.calls.append(_Call(UP + 0.9, UP + 0.95, "BREAKER_OPEN"))
    assert not well.is_steady(UP)


def test_the_page_says_what_an_outage_cost() -> None:
    values = {"recovered_ms": 2044.0, "whole_ms": 2030.0, "failed": 504.0, "opened_ms": 45.0}
    samples = (Sample("interlace", values), Sample("baseline", {"recovered_ms": 3.0}))
    case = Case("service", "recovery", {"outage_s": 3.0}, "recovered_ms", samples)
    run = Run(1, "service", "2026-01-01T00:00:00+00:00", {}, "", (case,))
    page = "".join(service_sections(Results((run,))))
    assert "How soon is it well again" in page
    for told in ("2,040", "504", "given up after, ms", "asks again after 5 s"):
        assert told in page
