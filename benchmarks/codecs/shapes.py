"""The ten shapes of plain data, and those where JSON and protobuf disagree; all from one seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.codecs.schema import Spec, spec_of

__all__ = ["SEED", "SHAPES", "Shape", "shape", "shape_names"]

SEED = 20_261_122
WORDS = [
    "amber",
    "anchor",
    "apricot",
    "basin",
    "beacon",
    "birch",
    "canyon",
    "cedar",
    "cobalt",
    "copper",
    "coral",
    "delta",
    "ember",
    "fjord",
    "garnet",
    "glacier",
    "harbor",
    "indigo",
    "jasper",
    "juniper",
    "lagoon",
    "lantern",
    "maple",
    "meadow",
    "nectar",
    "oasis",
    "onyx",
    "orchid",
    "pebble",
    "prairie",
    "quartz",
    "raven",
    "ridge",
    "saffron",
    "sierra",
    "summit",
    "thicket",
    "tundra",
    "velvet",
    "willow",
]
PHRASES = (
    "The quick brown fox jumps over the lazy dog. ",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ",
    "いろはにほへと ちりぬるを わかよたれそ つねならむ。",
    'She said "stop", twice, then\tleft.\n',
    "Съешь же ещё этих мягких французских булок. ",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: its name, the message that describes it, and its plain data.

    `message` is empty for a document without a schema.
    """

    name: str
    message: str
    data: Any


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


def _tiny(chance: random.Random) -> dict[str, Any]:
    return {"item_id": chance.randrange(1, 10**6), "name": _words(chance, 1), "active": True}


def _record(chance: random.Random) -> dict[str, Any]:
    first, last = chance.choice(WORDS), chance.choice(WORDS)
    return {
        "record_id": f"{chance.randrange(16**12):012x}",
        "display_name": f"{first.title()} {last.title()}",
        "email": f"{first}.{last}@example.com",
        "age_years": chance.randrange(18, 90),
        "balance": round(chance.uniform(-9_000, 9_000), 2),
        "is_verified": chance.random() < 0.5,
        "standing": chance.randrange(1, 4),
        "postal_address": {
            "street_line": f"{chance.randrange(1, 300)} {_words(chance, 2)}",
            "city": _words(chance, 1),
            "postal_code": f"{chance.randrange(10**5):05d}",
            "country_code": chance.choice(("AT", "CH", "DE", "FR", "IT", "PL")),
        },
        "tags": [_words(chance, 1) for _ in range(4)],
        "line_items": [
            {
                "article": _words(chance, 2),
                "quantity": chance.randrange(1, 20),
                "unit_price": round(chance.uniform(1, 500), 2),
            }
            for _ in range(2)
        ],
    }


def _records(chance: random.Random) -> dict[str, Any]:
    return {"records": [_record(chance) for _ in range(1_000)]}


def _nested(chance: random.Random) -> dict[str, Any]:
    below: list[dict[str, Any]] = []
    # 30 levels, each with a leaf beside the way down.
    for level in range(30, 0, -1):
        leaf = _node(chance, level, [])
        below = [_node(chance, level, below), leaf]
    return _node(chance, 0, below)


def _node(chance: random.Random, level: int, children: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "label": _words(chance, 2),
        "level": level,
        "weight": chance.uniform(0, 1),
        "children": children,
    }


def _numbers(chance: random.Random) -> dict[str, Any]:
    return {
        "series": _words(chance, 1),
        "samples": [chance.gauss(0, 1_000) for _ in range(1_000)],
        "counts": [chance.randrange(10**6) for _ in range(1_000)],
    }


def _text(chance: random.Random) -> dict[str, Any]:
    return {"title": _words(chance, 6), "body": "".join(chance.choices(PHRASES, k=2_000))}


def _blob(chance: random.Random) -> dict[str, Any]:
    return {"media_type": "application/octet-stream", "content": chance.randbytes(100_000)}


def _maps(chance: random.Random) -> dict[str, Any]:
    return {
        "counters": {f"counter.{key}": chance.randrange(10**6) for key in range(100)},
        "labels": {f"label.{key}": _words(chance, 2) for key in range(100)},
        "points": {
            f"point.{key}": {
                "latitude": chance.uniform(-90, 90),
                "longitude": chance.uniform(-180, 180),
            }
            for key in range(50)
        },
    }


def _scalar(chance: random.Random, kind: str) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "int": lambda: chance.randrange(1, 10**6),
        "float": lambda: chance.uniform(-1_000, 1_000),
        "str": lambda: _words(chance, 2),
        "bool": lambda: chance.random() < 0.5,
    }
    return made[kind]()


def _filled(chance: random.Random, spec: Spec, every: int = 1) -> dict[str, Any]:
    return {field.name: _scalar(chance, field.kind) for field in spec.fields[::every]}


def _wide(chance: random.Random) -> dict[str, Any]:
    return _filled(chance, spec_of("Wide"))


def _sparse(chance: random.Random) -> dict[str, Any]:
    return _filled(chance, spec_of("Sparse"), every=9)


MAKERS: dict[str, tuple[str, Callable[[random.Random], dict[str, Any]]]] = {
    "tiny_flat": ("Tiny", _tiny),
    "typical_record": ("Record", _record),
    "wide_200": ("Wide", _wide),
    "deep_nested": ("Node", _nested),
    "list_1000": ("RecordList", _records),
    "numeric_array": ("Numbers", _numbers),
    "long_text": ("LongText", _text),
    "binary_blob": ("Blob", _blob),
    "map_heavy": ("Maps", _maps),
    "sparse_optionals": ("Sparse", _sparse),
}
SHAPES = tuple(MAKERS)


def shape_names() -> tuple[str, ...]:
    """Return the names of the ten shapes, in the order of the reports."""
    return SHAPES


@cache
def shape(name: str) -> Shape:
    """Return the shape `name` with its data; the same in every process. Do not change the data."""
    message, make = MAKERS[name]
    return Shape(name, message, make(random.Random(f"{SEED}:{name}")))
