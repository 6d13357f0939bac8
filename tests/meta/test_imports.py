"""No module needs another that needs it back: the imports of load time run one way."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"interlaced": ROOT / "service", "interlace": ROOT / "clients" / "python"}


def modules() -> dict[str, Path]:
    """Every module of both distributions, by its dotted name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for name, root in PACKAGES.items()
        for path in (root / name).rglob("*.py")
    }


def needs(source: str, known: set[str]) -> set[str]:
    """The modules that are imported when this one is loaded."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


def order(graph: dict[str, set[str]]) -> list[str]:
    return list(TopologicalSorter(graph).static_order())


def test_the_imports_of_load_time_have_no_cycle() -> None:
    found = modules()
    assert len(found) > 150
    order({name: needs(path.read_text(), set(found)) for name, path in found.items()})


def test_a_cycle_would_be_found() -> None:
    known = {"a", "b"}
    graph = {"a": needs("import b", known), "b": needs("from a import x", known)}
    with pytest.raises(CycleError):
        order(graph)
