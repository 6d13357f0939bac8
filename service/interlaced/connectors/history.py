"""What every kind of feed lets people bound: the history that is kept for subscribers."""

from typing import Annotated

from pydantic import Field

from interlaced.schema.fields import Duration, Size, Strict

__all__ = ["History", "Ring"]


class Ring(Strict):
    """The bounds of the history kept for subscribers."""

    events: Annotated[int, Field(ge=1)] = 10_000
    """How many events at most."""
    bytes: Annotated[Size, Field(ge=1024)] = 16 * 1024 * 1024
    """How many bytes at most."""


class History(Strict):
    """The settings of a feed that are the same for every kind."""

    retain: Annotated[Duration, Field(ge=0)] = 60.0
    """How long history and connection linger after the last subscriber."""
    ring: Ring = Ring()
    """How much history is kept."""
