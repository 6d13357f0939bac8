"""Filters: which events of a feed a subscriber wants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

__all__ = ["Attributes", "Filter", "Match"]


class Attributes(Protocol):
    """What a filter looks at."""

    @property
    def type(self) -> str:
        """What kind of thing happened."""
        ...

    @property
    def source(self) -> str:
        """Where it happened."""
        ...

    @property
    def subject(self) -> str:
        """What it is about."""
        ...

    @property
    def key(self) -> str:
        """What its order is kept by."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """Matches a text exactly, or by its beginning."""

    text: str
    is_prefix: bool = False

    def matches(self, text: str) -> bool:
        """Whether the text is wanted."""
        return text.startswith(self.text) if self.is_prefix else text == self.text


@dataclass(frozen=True)
class Filter:
    """Which events are wanted: every attribute that is set must match."""

    type: Match | None = None
    source: Match | None = None
    subject: Match | None = None
    key: Match | None = None

    @cached_property
    def canonical(self) -> bytes:
        """The filter as bytes, equal for equal filters; empty when everything is wanted."""
        parts = []
        for name, match in self._rules:
            text = match.text.encode(errors="surrogatepass")
            rule = f"{name}{'^' if match.is_prefix else '='}{len(text)}:".encode()
            parts.append(rule + text)
        return b"".join(parts)

    @cached_property
    def _rules(self) -> tuple[tuple[str, Match], ...]:
        # an empty prefix matches everything, so that it is no rule
        pairs = (
            ("type", self.type),
            ("source", self.source),
            ("subject", self.subject),
            ("key", self.key),
        )
        return tuple((n, m) for n, m in pairs if m is not None and (m.text or not m.is_prefix))

    def matches(self, event: Attributes) -> bool:
        """Whether the event is wanted."""
        return all(match.matches(getattr(event, name)) for name, match in self._rules)
