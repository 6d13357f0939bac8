"""A process's place among the workers that serve one port together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Seat"]


@dataclass(frozen=True, slots=True)
class Seat:
    """Worker `index` of `count`, from 0; a process that serves alone has seat 0 of 1.

    A worker that dies is replaced by another in the same seat. `folder` is private to the group
    (0700), made before the first worker starts and removed after the last one has ended: Unix
    sockets between the workers live there. It is None exactly where there is no group.
    """

    index: int = 0
    count: int = 1
    folder: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"there is no seat {self.index} among {self.count}")

    @property
    def is_alone(self) -> bool:
        """Whether this process is the whole server."""
        return self.count == 1
