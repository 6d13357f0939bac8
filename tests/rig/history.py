"""A history of what was published and what arrived, and what a checker says about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Findings", "History"]


@dataclass(frozen=True)
class Findings:
    """What is wrong with one receiver's history."""

    lost: frozenset[str] = frozenset()
    """Was accepted, never arrived, and no gap says so."""
    duplicated: frozenset[str] = frozenset()
    """Arrived more than once."""
    phantom: frozenset[str] = frozenset()
    """Arrived without ever having been sent."""
    reordered: frozenset[str] = frozenset()
    """Arrived after something that was sent later."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.duplicated or self.phantom or self.reordered)


@dataclass
class History:
    """Clients log what they send with how it ended: ok, failed (for certain) or unknown."""

    sent: dict[str, int] = field(default_factory=dict)
    ok: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def invoke(self, name: str) -> str:
        """Something is about to be sent."""
        self.sent.setdefault(name, len(self.sent))
        return name

    def settle(self, name: str, outcome: str) -> None:
        """It ended: `ok`, `unknown`, or any other reason, which is a certain failure. What was
        unknown and is repeated under its id keeps the better news."""
        for group in (self.ok, self.failed, self.unknown):
            group.discard(name)
        group = {"ok": self.ok, "unknown": self.unknown}.get(outcome, self.failed)
        group.add(name)

    def check(
        self, arrived: Sequence[str], *, gaps: Iterable[str] = (), ordered: bool = True
    ) -> Findings:
        """Compares with what one receiver saw, in its order; `gaps` are reported as missing."""
        seen = set(arrived)
        places = [self.sent[name] for name in dict.fromkeys(arrived) if name in self.sent]
        latest, late = -1, set()
        names = list(self.sent)
        for place in places:
            if place < latest:
                late.add(names[place])
            latest = max(latest, place)
        return Findings(
            lost=frozenset(self.ok - seen - set(gaps)),
            duplicated=frozenset(name for name, count in Counter(arrived).items() if count > 1),
            phantom=frozenset(seen - set(self.sent)) | frozenset(seen & self.failed),
            reordered=frozenset(late) if ordered else frozenset(),
        )
