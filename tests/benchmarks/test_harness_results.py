"""A run survives its way to disk and back, and a file of another schema is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.harness.results import (
    SCHEMA,
    Case,
    Interval,
    Run,
    Sample,
    UnknownSchemaError,
    from_json,
    read_run,
    to_json,
    write_run,
)

CASE = Case(
    suite="service",
    scenario="call",
    variant={"upstreams": 1},
    unit="cpu_us_per_call",
    samples=(Sample("interlace", {"cpu_us_per_call": 210.5}), Sample("baseline", {"errors": 0.0})),
    ratio=Interval(0.4, 0.5, 0.6),
    notes=("rough",),
)
RUN = Run(SCHEMA, "service", "2026-11-22T18:00:00+00:00", {"cores": 2}, "python -m x", (CASE,))


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "service.json"
    write_run(RUN, path)
    assert read_run(path) == RUN


def test_a_case_without_a_ratio_reads_back() -> None:
    bare = Run(SCHEMA, "codecs", RUN.started, {}, "", (Case("codecs", "encode", {}, "us"),))
    assert from_json(to_json(bare)) == bare


def test_results_of_another_schema_are_refused() -> None:
    with pytest.raises(UnknownSchemaError, match="schema 9"):
        from_json(to_json(RUN) | {"schema": 9})


def test_a_figure_that_is_no_number_is_never_written(tmp_path: Path) -> None:
    odd = Run(
        SCHEMA,
        "service",
        "",
        {},
        "",
        (Case("service", "call", {}, "us", (Sample("interlace", {"rate": float("nan")}),)),),
    )
    with pytest.raises(ValueError, match="Out of range"):
        write_run(odd, tmp_path / "x.json")
