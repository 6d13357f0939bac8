"""The generated functions touch what changes, and nothing else."""

from __future__ import annotations

import ast

from rich_proto import Leaf, Rich, Shelf

from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_source import PLAIN_KINDS, SourceWriter


def write(kind: type, *, original_names: bool) -> str:
    reached = Plans().reach(kind.DESCRIPTOR)  # type: ignore[attr-defined]  # made at run time
    return SourceWriter(reached, original_names=original_names).write()


def test_a_plain_type_is_only_counted() -> None:
    source = write(Leaf, original_names=False)
    assert "get(" not in source
    assert "pop(" not in source


def test_a_field_that_keeps_its_name_and_its_value_is_not_mentioned() -> None:
    source = write(Rich, original_names=True)
    for kind in PLAIN_KINDS - {"enum"}:
        assert f"'one_{kind}'" not in source
    assert "'one_int64'" in source


def test_a_field_that_changes_its_name_is_moved() -> None:
    assert "d['one_int32'] = v" in write(Rich, original_names=False)


def test_it_is_python_whatever_the_names_are() -> None:
    for original in (False, True):
        module = ast.parse(write(Rich, original_names=original))
        assert any(isinstance(node, ast.FunctionDef) for node in module.body)


def test_maps_of_scalars_wait_except_below_a_map() -> None:
    assert "later.append" in write(Shelf, original_names=False)
    assert "later.append" not in write(Rich, original_names=False)  # it lies in a map of its own
