"""One file per library, each with the same names: `NAME`, `DISTRIBUTION`, `TAKES`, `open_codec`.

`TAKES` says what the library is measured on: shapes of the schema, documents without one, or both.
"""

from __future__ import annotations

import importlib
from typing import Protocol

from benchmarks.codecs.codec import Codec
from benchmarks.codecs.shapes import Shape

__all__ = ["MODULES", "Library", "load"]

MODULES = {
    "protobuf": "protobuf_upb",
    "protobuf-py": "protobuf_py",
    "protobuf-struct": "protobuf_struct",
    "msgpack": "msgpack",
    "ormsgpack": "ormsgpack",
    "msgspec-msgpack": "msgspec_msgpack",
    "json": "json",
    "orjson": "orjson",
    "msgspec-json": "msgspec_json",
}


class Library(Protocol):
    """What the module of a library has."""

    NAME: str
    DISTRIBUTION: str
    TAKES: frozenset[str]

    def open_codec(self, shape: Shape) -> Codec:
        """Return the library made ready for `shape`."""
        ...


def load(name: str) -> Library:
    """Return the module of the library `name`. Raise ImportError where it is not installed."""
    module: Library = importlib.import_module(f"{__name__}.{MODULES[name]}")
    return module
