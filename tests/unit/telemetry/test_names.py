"""The metrics' names are unique and spelled as Prometheus wants them."""

from __future__ import annotations

import re

from interlaced.telemetry import names


def test_names_are_unique_and_every_module_value_is_listed() -> None:
    spelled = [metric.prometheus for metric in names.ALL]
    assert len(spelled) == len(set(spelled)) > 20


def test_the_prometheus_spelling_has_no_dots_and_the_unit_at_its_end() -> None:
    for metric in names.ALL:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.prometheus)
        assert metric.prometheus.endswith("_seconds") == (metric.unit == "s")


def test_log_fields_are_spelled_apart() -> None:
    spelled = list(names.LOG_FIELDS.values())
    assert len(spelled) == len(set(spelled))
    assert all("." in name for name in spelled)
