"""The legs of a fan-out and the policy that completes it, checked before anything runs."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.model import Call
from interlaced.core.path import Path

__all__ = ["Branch", "BranchArgument", "CompletionPolicy", "Plan", "Rule"]


class Rule(enum.StrEnum):
    """When a fan-out is complete."""

    ALL = "all"
    QUORUM = "quorum"
    FIRST_OK = "first_ok"
    BEST_EFFORT = "best_effort"


@dataclass(frozen=True, slots=True)
class CompletionPolicy:
    """A rule; `count` belongs to QUORUM."""

    rule: Rule = Rule.ALL
    count: int = 0


@dataclass(frozen=True, slots=True)
class BranchArgument:
    """An argument that is taken from another branch's reply."""

    branch: str
    path: Path
    parameter: str


@dataclass(slots=True, kw_only=True)
class Branch:
    """One leg of a fan-out. `timeout` is its own limit, in seconds from its start, which for one
    that waits for others is when they are done; the deadlines of its call and of the fan-out apply
    as well."""

    name: str
    call: Call
    timeout: float = math.inf
    is_required: bool = False
    arguments_from: tuple[BranchArgument, ...] = ()


class Plan:
    """The branches of a fan-out, checked and ordered.

    Raises Failure INVALID_REQUEST, with the field, for a name that is not unique, a dependency
    that is unknown or runs in a circle, and a quorum that no outcome can meet. A branch that others
    wait for does not count; `required` extends to everything that a branch waits for.
    """

    def __init__(self, branches: Sequence[Branch], policy: CompletionPolicy) -> None:
        self.branches = tuple(branches)
        self.policy = policy
        self.index = self._index()
        places = range(len(self.branches))
        self.counted = frozenset(places)
        # Most plans have no branch that waits for another, and nothing to sort out.
        self.sources: tuple[frozenset[int], ...] = (frozenset(),) * len(self.branches)
        self.dependents: tuple[tuple[int, ...], ...] = ((),) * len(self.branches)
        if any(map(attrgetter("arguments_from"), self.branches)):
            self.sources = tuple(self._sources_of(place) for place in places)
            self.dependents = self._dependents()
            self._refuse_circles()
            self.counted -= {source for sources in self.sources for source in sources}
        self.required = self._required()
        self.needed = self._needed()

    def _index(self) -> Mapping[str, int]:
        index: dict[str, int] = {}
        for place, branch in enumerate(self.branches):
            if branch.name in index:
                raise _invalid(f"branches[{place}].name", "another branch has this name")
            index[branch.name] = place
        return index

    def _sources_of(self, place: int) -> frozenset[int]:
        branch, found = self.branches[place], set()
        taken = set(branch.call.parameters)
        for number, argument in enumerate(branch.arguments_from):
            field = f"branches[{place}].arguments_from[{number}]"
            source = self.index.get(argument.branch)
            if source is None:
                raise _invalid(f"{field}.branch", "there is no branch of this name")
            if argument.parameter in taken:
                raise _invalid(f"{field}.parameter", "the parameter is given already")
            taken.add(argument.parameter)
            found.add(source)
        return frozenset(found)

    def _dependents(self) -> tuple[tuple[int, ...], ...]:
        found: list[list[int]] = [[] for _ in self.branches]
        for place, sources in enumerate(self.sources):
            for source in sorted(sources):
                found[source].append(place)
        return tuple(tuple(places) for places in found)

    def _refuse_circles(self) -> None:
        """Takes away what waits for nothing until nothing is left, or only circles are."""
        waiting = [len(sources) for sources in self.sources]
        free = [place for place, count in enumerate(waiting) if count == 0]
        for place in free:
            for dependent in self.dependents[place]:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    free.append(dependent)  # the list is the work still to do
        for place, count in enumerate(waiting):
            if count:
                raise _invalid(
                    f"branches[{place}].arguments_from", "the branches wait for each other"
                )

    def _required(self) -> frozenset[int]:
        found: set[int] = set()
        work = [place for place, branch in enumerate(self.branches) if branch.is_required]
        while work:
            place = work.pop()
            if place not in found:
                found.add(place)
                work.extend(self.sources[place])
        return frozenset(found)

    def _needed(self) -> int:
        """How many counted branches must succeed."""
        rule, count = self.policy.rule, self.policy.count
        if rule is Rule.QUORUM and not 1 <= count <= len(self.counted):
            raise _invalid(
                "policy.quorum.count",
                f"must be from 1 to {len(self.counted)}, the number of branches that count",
            )
        usual = {Rule.ALL: len(self.counted), Rule.FIRST_OK: 1, Rule.BEST_EFFORT: 0}
        return count if rule is Rule.QUORUM else usual[rule]


def _invalid(field: str, description: str) -> Failure:
    return Failure(
        Reason.INVALID_REQUEST,
        "the request breaks a rule of its fields",
        fields=(FieldViolation(field, description),),
    )
