"""The budgets: what must be reached, what is aimed for, and which measured cases decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.codecs.converting import CONVERTING, PLAIN
from benchmarks.harness.results import Case, VariantValue

__all__ = ["AT_LEAST", "AT_MOST", "BUDGETS", "Budget", "Sense"]

Sense = Literal["at_most", "at_least"]
AT_MOST: Sense = "at_most"
AT_LEAST: Sense = "at_least"


@dataclass(frozen=True, slots=True)
class Budget:
    """One line of the table of budgets.

    A case counts where its scenario and all of `where` are the same. `each` names one more key of
    the variant, and the values that must all have been measured. The worst case of all decides.
    """

    name: str
    what: str
    budget: float
    aim: float
    sense: Sense
    scenario: str
    where: Mapping[str, VariantValue] = field(default_factory=dict)
    each: tuple[str, Sequence[VariantValue]] | None = None
    suite: str = "service"

    def covers(self, case: Case) -> bool:
        """Return whether `case` counts for this budget."""
        if (case.suite, case.scenario) != (self.suite, self.scenario):
            return False
        if self.each and case.variant.get(self.each[0]) not in self.each[1]:
            return False
        return all(case.variant.get(key) == value for key, value in self.where.items())

    def absent(self, cases: Sequence[Case]) -> list[VariantValue]:
        """Return the values of `each` that none of `cases` has."""
        key, values = self.each or ("", ())
        return [value for value in values if all(one.variant.get(key) != value for one in cases)]

    def holds(self, figure: float) -> bool:
        """Return whether `figure` is within the budget."""
        return figure <= self.budget if self.sense == AT_MOST else figure >= self.budget

    def reaches_aim(self, figure: float) -> bool:
        """Return whether `figure` is as good as what is aimed for."""
        return figure <= self.aim if self.sense == AT_MOST else figure >= self.aim


def _transcode(direction: str, fields: str, reach: float, *, aim: float) -> Budget:
    """A budget of the transcoder, which counts how many times as fast as json_format it is.

    Printing is held against `MessageToJson` as it is called without options, which the budget's own
    figures are of. The call without indentation, which the standard library encodes in C, is
    measured and shown beside it.
    """
    is_printing = direction == "protobuf_to_json"
    oracle = {"oracle": "json_format indented"} if is_printing else {}
    shapes = PLAIN if fields == "plain" else CONVERTING
    way = direction.replace("_", " ").replace("json", "JSON").replace("protobuf to", "Protobuf to")
    return Budget(
        name=f"{direction}_{fields}",
        what=f"{way}, {fields} fields, times json_format",
        budget=reach,
        aim=aim,
        sense=AT_LEAST,
        scenario="transcode",
        where={"direction": direction, "fields": fields, **oracle},
        each=("shape", shapes),
        suite="codecs",
    )


BUDGETS = (
    Budget("call", "Call, one REST upstream, passed through", 0.75, 0.5, AT_MOST, "call"),
    Budget("fanout_8", "FanOut of 8", 0.50, 0.4, AT_MOST, "fanout", {"width": 8}),
    Budget("fanout_32", "FanOut of 32", 0.42, 0.33, AT_MOST, "fanout", {"width": 32}),
    Budget(
        name="session_256",
        what="Session, 256 calls in flight, beside unary calls",
        budget=0.25,
        aim=0.15,
        sense=AT_MOST,
        scenario="session",
        where={"in_flight": 256},
    ),
    Budget(
        name="session_64",
        what="Session, 64 calls in flight, beside unary calls",
        budget=0.35,
        aim=0.25,
        sense=AT_MOST,
        scenario="session",
        where={"in_flight": 64},
    ),
    Budget(
        name="subscribe_100",
        what="Subscribe at saturation, 100 subscribers, times the events",
        budget=10.0,
        aim=25.0,
        sense=AT_LEAST,
        scenario="subscribe",
        where={"subscribers": 100},
    ),
    Budget(
        name="idle_subscriber",
        what="Memory of an idle subscriber beside a bare stream",
        budget=1.5,
        aim=1.1,
        sense=AT_MOST,
        scenario="idle_subscriber",
    ),
    _transcode("json_to_protobuf", "plain", 10.0, aim=20.0),
    _transcode("protobuf_to_json", "plain", 8.0, aim=12.0),
    _transcode("json_to_protobuf", "converting", 7.0, aim=20.0),
    _transcode("protobuf_to_json", "converting", 7.0, aim=12.0),
    Budget(
        name="policies",
        what="All policies on against all off, FanOut of 8",
        budget=1.12,
        aim=1.05,
        sense=AT_MOST,
        scenario="policies",
        where={"on": "all"},
    ),
    Budget(
        name="boot",
        what="Boot with 50 connectors beside a process that only imports",
        budget=2.0,
        aim=1.3,
        sense=AT_MOST,
        scenario="boot",
    ),
    Budget(
        name="workers",
        what="CPU per call at 2 workers against 1",
        budget=1.25,
        aim=1.1,
        sense=AT_MOST,
        scenario="workers",
        where={"workers": 2},
    ),
)
