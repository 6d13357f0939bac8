"""The rules of the validated tier: bounds that every library checks, each in its own way."""

from __future__ import annotations

__all__ = ["FLOAT_LIMIT", "INT_LIMIT", "MAX_BYTES", "MAX_ITEMS", "MAX_TEXT", "BrokenRuleError"]

INT_LIMIT = 10**9
FLOAT_LIMIT = 1e12
MAX_TEXT = 2**20
MAX_BYTES = 2**22
MAX_ITEMS = 100_000


class BrokenRuleError(ValueError):
    """A decoded value breaks a rule; its text is the name of the field."""
