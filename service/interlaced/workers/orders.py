"""What a supervisor tells a worker, and what the worker answers: one line of JSON each way.

They travel through the worker's own pipes, since the order holds secrets: nothing of it stands in
an argument, the environment or a file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from interlaced.core.seat import Seat
from interlaced.core.secret import Secret
from interlaced.settings import Ingress, Settings

__all__ = ["GroupError", "Order", "Report"]


@dataclass(frozen=True, slots=True)
class Order:
    """How a worker is to serve, and how it logs: `json` or `console`, from `level` on."""

    settings: Settings
    log_style: str
    log_level: str

    def write(self) -> bytes:
        """Returns the line; it holds secrets."""
        return json.dumps(_pack(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Order:
        """Returns what `write` wrote."""
        order: Order = json.loads(line, object_hook=_unpack)
        return order


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker's start went: it serves, or `error` and `lines` say for people why it does not;
    `is_config` is set where the configuration is at fault."""

    is_serving: bool
    error: str = ""
    lines: Sequence[str] = ()
    is_config: bool = False

    def write(self) -> bytes:
        """Returns the line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Report | None:
        """Returns what `write` wrote, or None where a worker ended in the midst of it."""
        try:
            told: dict[str, Any] = json.loads(line)
            return cls(**told)
        except (ValueError, TypeError):
            return None


class GroupError(Exception):
    """A group of workers cannot serve; `report` says for people why."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.error)
        self.report = report


_RECORDS = {record.__name__: record for record in (Order, Settings, Ingress, Seat)}


def _pack(value: object) -> object:
    """Returns a value as JSON knows it, with the type where JSON has none."""
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, Secret):
        return {"secret": value.reveal()}
    if isinstance(value, tuple):
        return {"tuple": [_pack(each) for each in value]}
    name = type(value).__name__
    if name in _RECORDS and isinstance(value, _RECORDS[name]):
        return {name: {field.name: [_pack(getattr(value, field.name))] for field in fields(value)}}
    return value


def _unpack(packed: dict[str, Any]) -> object:
    """Undoes `_pack`, from the inside out; a record's fields are wrapped once more, so that their
    names are never taken for those of types."""
    if len(packed) != 1:
        return packed
    ((name, value),) = packed.items()
    if name == "path":
        return Path(value)
    if name == "secret":
        return Secret(value)
    if name == "tuple":
        return tuple(value)
    if name in _RECORDS:
        return _RECORDS[name](**{field: wrapped[0] for field, wrapped in value.items()})
    return packed
