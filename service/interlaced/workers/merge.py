"""One page of metrics from those of all workers.

Each metric says in `telemetry/names.py` how it is merged. Counters of workers that have died are
kept, as they were seen last: a sum that fell would look like a reset, and every rate over it would
leap by what the others have counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from interlaced.telemetry import names
from interlaced.telemetry.names import Instrument, Merge, Metric

__all__ = ["GroupMetrics"]

_LEAST = "least"


def _rules() -> dict[str, tuple[str, bool]]:
    """How each family of the text is merged, and whether it outlives its worker."""
    rules: dict[str, tuple[str, bool]] = {}
    for metric in names.OF_PROCESS:
        if metric.merge == Merge.GROUP:
            continue
        name = metric.prometheus
        if metric.instrument == Instrument.GAUGE:
            rules[name] = (metric.merge, False)
            continue
        total = f"{name}_total" if metric.instrument == Instrument.COUNTER else name
        rules[total] = (Merge.SUM, True)
        rules[f"{name}_created"] = (_LEAST, True)
    return rules


_RULES = _rules()
_JOIN: Mapping[str, Callable[[float, float], float]] = {
    Merge.SUM: lambda one, other: one + other,
    Merge.MOST: max,
    _LEAST: min,
}


@dataclass(slots=True)
class _Family:
    """The lines above a family's samples, and its samples by `name{labels}`."""

    head: list[str]
    samples: dict[str, float] = field(default_factory=dict)


_Page = dict[str, _Family]


def _merge(pages: Iterable[tuple[str, str]], lost: _Page | None = None) -> _Page:
    """Merges pairs of a worker's name and its text; `lost` holds what the dead have left."""
    merged: _Page = {}
    for name, family in (lost or {}).items():
        merged[name] = _Family(family.head, dict(family.samples))
    for worker, text in pages:
        for name, family in _read(text).items():
            rule, _ = _RULES.get(name, (Merge.GROUP, False))
            if rule != Merge.GROUP:
                _add(merged.setdefault(name, _Family(family.head)), family, rule, worker)
    return merged


def _add(to: _Family, family: _Family, rule: str, worker: str) -> None:
    if rule == Merge.EACH:
        for series, value in family.samples.items():
            to.samples[_label(series, worker)] = value
        return
    join = _JOIN[rule]
    for series, value in family.samples.items():
        old = to.samples.get(series)
        to.samples[series] = value if old is None else join(old, value)


def _label(series: str, worker: str) -> str:
    name, brace, labels = series.partition("{")
    return f'{name}{{worker="{worker}",{labels}' if brace else f'{name}{{worker="{worker}"}}'


def _read(text: str) -> _Page:
    """Reads our own text: no time stamps, and every sample below its family's TYPE."""
    page: _Page = {}
    head: list[str] = []
    family = _Family([])
    for line in text.splitlines():
        if line.startswith("# HELP"):
            head = [line]
        elif line.startswith("# TYPE"):
            family = page[line.split(" ")[2]] = _Family([*head, line])
        elif line:
            series, _, value = line.rpartition(" ")
            family.samples[series] = float(value)
    return page


def _render(page: _Page) -> str:
    lines: list[str] = []
    for family in page.values():
        lines += family.head
        lines += [f"{series} {_spell(value)}" for series, value in family.samples.items()]
    return "\n".join(lines)


def _spell(value: float) -> str:
    """Writes a number as the format has it."""
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value) or repr(value)


def _place(metric: Metric) -> tuple[str, str, tuple[str, ...]]:
    return metric.prometheus, metric.help, metric.labels


class GroupMetrics:
    """The metrics of a group: what the supervisor counts itself, and what the workers tell."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._reloads = Counter(*_place(names.RELOADS), registry=registry)
        self._restarts = Counter(*_place(names.WORKER_RESTARTS), registry=registry)
        self._serving = Gauge(*_place(names.WORKERS_SERVING), registry=registry)
        self._seen: dict[str, str] = {}
        self._lost: _Page = {}

    def reloaded(self, result: str) -> None:
        """Counts a reload of the whole group."""
        self._reloads.labels(result).inc()

    def restarted(self) -> None:
        """Counts a worker that is started again."""
        self._restarts.inc()

    def see(self, worker: str, text: str) -> None:
        """Takes a worker's page; it stands until the next one, or until the worker dies."""
        self._seen[worker] = text

    def lose(self, worker: str) -> None:
        """Keeps the counters of a worker that has died, and forgets its gauges."""
        text = self._seen.pop(worker, "")
        left = _merge([(worker, text)], self._lost)
        self._lost = {name: family for name, family in left.items() if _RULES[name][1]}

    def render(self, serving: int) -> bytes:
        """Returns everything in the Prometheus text format; `serving` workers serve now."""
        self._serving.set(serving)
        own = generate_latest(self._registry)
        merged = _render(_merge(sorted(self._seen.items()), self._lost))
        return merged.encode() + b"\n" + own if merged else own
