"""The records that every suite writes and every report reads, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "BASELINE",
    "DIRECT",
    "INTERLACE",
    "SCHEMA",
    "Case",
    "Interval",
    "Run",
    "Sample",
    "UnknownSchemaError",
    "VariantValue",
    "from_json",
    "read_run",
    "to_json",
    "write_run",
]

SCHEMA = 1
INTERLACE = "interlace"
BASELINE = "baseline"
DIRECT = "direct"

VariantValue = str | int | float


class UnknownSchemaError(ValueError):
    """A file of results is of a schema that this checkout cannot read."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the bounds of its bootstrap interval, all in the unit of the estimate."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed window of one side: `interlace`, `baseline` or the name of a library."""

    side: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario in one variant, with every window that was timed for it.

    `ratio` is interlace : baseline of the case's main figure, from windows run in turn; it is
    None where a case has no second side, or where an error in a window failed it (see `notes`).
    """

    suite: str
    scenario: str
    variant: Mapping[str, VariantValue]
    unit: str
    samples: tuple[Sample, ...] = ()
    ratio: Interval | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one suite on one machine. `started` is ISO 8601 with its offset."""

    schema: int
    kind: str
    started: str
    machine: Mapping[str, Any]
    command: str
    cases: tuple[Case, ...] = field(default=())


def to_json(run: Run) -> dict[str, Any]:
    """Return `run` as a plain dict that `json.dumps` takes."""
    return {
        "schema": run.schema,
        "kind": run.kind,
        "started": run.started,
        "machine": dict(run.machine),
        "command": run.command,
        "cases": [_case_to_json(case) for case in run.cases],
    }


def from_json(document: Mapping[str, Any]) -> Run:
    """Return the Run that `to_json` wrote. Raise UnknownSchemaError for any other schema."""
    if document.get("schema") != SCHEMA:
        raise UnknownSchemaError(f"results of schema {document.get('schema')!r}, not {SCHEMA}")
    return Run(
        schema=SCHEMA,
        kind=document["kind"],
        started=document["started"],
        machine=document["machine"],
        command=document["command"],
        cases=tuple(_case_from_json(case) for case in document["cases"]),
    )


def write_run(run: Run, path: Path) -> None:
    """Write `run` as JSON to `path`, whose folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(run), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """Read what `write_run` wrote. Raise UnknownSchemaError for any other schema."""
    return from_json(json.loads(path.read_text(encoding="utf-8")))


def _case_to_json(case: Case) -> dict[str, Any]:
    ratio = case.ratio
    return {
        "suite": case.suite,
        "scenario": case.scenario,
        "variant": dict(case.variant),
        "unit": case.unit,
        "samples": [{"side": one.side, "values": dict(one.values)} for one in case.samples],
        "ratio": None
        if ratio is None
        else {"low": ratio.low, "mid": ratio.mid, "high": ratio.high},
        "notes": list(case.notes),
    }


def _case_from_json(document: Mapping[str, Any]) -> Case:
    ratio = document["ratio"]
    return Case(
        suite=document["suite"],
        scenario=document["scenario"],
        variant=document["variant"],
        unit=document["unit"],
        samples=tuple(Sample(one["side"], one["values"]) for one in document["samples"]),
        ratio=None if ratio is None else Interval(ratio["low"], ratio["mid"], ratio["high"]),
        notes=tuple(document["notes"]),
    )
