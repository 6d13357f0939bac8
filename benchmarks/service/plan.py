"""What a run was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.harness.process import Cores, split_cores
from benchmarks.harness.results import Case
from benchmarks.service.measure import Pace

__all__ = ["Plan", "Scenario", "say"]


def say(text: str) -> None:
    """Tell a line at once, also into a file: a run takes minutes."""
    print(text, flush=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """The pace, and whether only what decides a budget is measured."""

    pace: Pace = field(default_factory=Pace)
    is_quick: bool = False
    cores: Cores = field(default_factory=split_cores)
    say: Callable[[str], None] = say


Scenario: TypeAlias = Callable[[Plan], Awaitable[list[Case]]]
"""Measures what its name says, in every variant that the plan asks for."""
