"""Which kinds of connectors there are and where each lives; a kind is imported on first use."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from interlaced.core.ports import Connector, Tools
from interlaced.schema.fields import Strict

__all__ = ["KINDS", "BuildConnector", "Kind", "KindEntry", "MissingLibrary", "load_kind"]


class BuildConnector(Protocol):
    """A kind's `build`: makes a connector from settings, without any I/O."""

    def __call__(self, name: str, config: Any, tools: Tools) -> Connector:
        """Builds the connector called `name`; `config` is an instance of the kind's Config."""
        ...


@dataclass(frozen=True, slots=True)
class KindEntry:
    """Where a kind lives, and which extra installs its libraries (empty: none is needed)."""

    module: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind, imported: the model of its settings and what builds a connector from them."""

    name: str
    config: type[Strict]
    build: BuildConnector


class MissingLibrary(ImportError):  # noqa: N818  # says what is the case; the caller decides
    """A kind's library is not installed; `hint` is the command that installs it."""

    def __init__(self, kind: str, extra: str) -> None:
        super().__init__(f"the library of the kind {kind} is not installed")
        self.hint = f"pip install 'interlaced[{extra}]'"


KINDS: Mapping[str, KindEntry] = {
    "memory": KindEntry("interlaced.connectors.memory"),
    "rest": KindEntry("interlaced.connectors.rest"),
    "websocket": KindEntry("interlaced.connectors.websocket"),
    "nats": KindEntry("interlaced.connectors.nats", "nats"),
}
"""All kinds, by the name that `upstream` holds the address under."""


@functools.cache
def load_kind(kind: str) -> Kind:
    """Imports a kind; KeyError if there is none, MissingLibrary if its extra is not installed."""
    entry = KINDS[kind]
    try:
        config = importlib.import_module(f"{entry.module}.config")
        connector = importlib.import_module(f"{entry.module}.connector")
    except ModuleNotFoundError as error:
        if not entry.extra or (error.name or "").startswith("interlaced"):
            raise
        raise MissingLibrary(kind, entry.extra) from error
    return Kind(kind, config.Config, connector.build)
