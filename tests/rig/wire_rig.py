"""The printer of the wire form in both its ways: as it stands, and as it was compiled."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from google.protobuf.message import Message

from interlaced.codecs import transcode_layout, transcode_wire
from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_print import Printer

__all__ = ["WAYS", "Way", "load", "way"]

WAYS = ("as it stands", "as it is imported")


@dataclass(frozen=True)
class Way:
    """One of the two: the modules of the layout and of the printer."""

    layout: Any
    wire: Any

    @property
    def refusals(self) -> tuple[type[Exception], ...]:
        """What the printer raises for all that it leaves to others."""
        return (self.wire.UnusualWire, IndexError, ValueError)

    def lay_out(self, message: type[Message]) -> Any:
        """The layout of a message type, of which no Any is printed."""
        plans = Plans()
        return self.layout.lay_out(
            message.DESCRIPTOR, plans, lambda held: Printer(held, plans, refuse_any)
        )

    def show(self, message: Message) -> bytes:
        """Prints a message by its wire form."""
        shown: bytes = self.wire.print_wire(
            _layout(self, type(message)), message.SerializePartialToString()
        )
        return shown

    def show_bytes(self, message: type[Message], data: bytes) -> bytes:
        """Prints these bytes as a message of this type."""
        shown: bytes = self.wire.print_wire(_layout(self, message), data)
        return shown


@cache
def _layout(way: Way, message: type[Message]) -> Any:
    return way.lay_out(message)


def refuse_any(_: object) -> Any:
    """Stands where an Any would be printed."""
    raise ValueError("no Any is printed here")


@cache
def way(name: str) -> Way:
    """One of WAYS."""
    if name == "as it is imported":
        return Way(transcode_layout, transcode_wire)
    kept = dict(sys.modules)
    package = sys.modules["interlaced.codecs"]
    try:
        wire = load("interlaced.codecs.transcode_wire")
        package.transcode_wire = wire  # type: ignore[attr-defined]  # what `from` looks at first
        layout = load("interlaced.codecs.transcode_layout")
    finally:
        package.transcode_wire = transcode_wire  # type: ignore[attr-defined]  # as above
        sys.modules.update(kept)
    return Way(layout, wire)


def load(name: str) -> ModuleType:
    """A module anew, from its source even if it was compiled."""
    package = sys.modules["interlaced.codecs"]
    file = f"{package.__path__[0]}/{name.rpartition('.')[2]}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
