"""The generated functions touch what changes, and nothing else."""

from __future__ import annotations

import ast

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from rich_proto import Leaf, Rich, Shelf

from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_source import SourceWriter


def make_writer(kind: type[Message], *, original_names: bool = False) -> SourceWriter:
    return SourceWriter(Plans().reach(kind.DESCRIPTOR), original_names=original_names)


def write(kind: type[Message], *, original_names: bool = False) -> str:
    return make_writer(kind, original_names=original_names).write()


def test_a_plain_type_is_only_counted() -> None:
    source = write(Leaf)
    assert "get(" not in source
    assert "pop(" not in source


def test_a_field_that_keeps_its_name_and_its_value_is_not_mentioned() -> None:
    source = write(descriptor_pb2.GeneratedCodeInfo)
    assert "'begin'" not in source
    assert "d['source_file'] = v" in source
    assert "'source_file'" not in write(descriptor_pb2.GeneratedCodeInfo, original_names=True)


@pytest.mark.parametrize(
    ("kind", "root"),
    [(Leaf, "read"), (descriptor_pb2.GeneratedCodeInfo, "read"), (Shelf, "build"), (Rich, "build")],
)
def test_what_a_constructor_takes_is_read_and_the_rest_is_built(
    kind: type[Message], root: str
) -> None:
    writer = make_writer(kind)
    assert writer.root == root
    defined = {node.name for node in ast.parse(writer.write()).body if hasattr(node, "name")}
    assert f"{root}0" in defined
    assert f"{'read' if root == 'build' else 'build'}0" not in defined


def test_messages_in_a_list_are_read_where_they_can_be() -> None:
    writer = make_writer(descriptor_pb2.UninterpretedOption)
    assert "n += read1(x, left - 1)" in writer.write()
    assert "def build1" not in writer.write()


def test_it_is_python_whatever_the_names_are() -> None:
    for original in (False, True):
        module = ast.parse(write(Rich, original_names=original))
        assert any(isinstance(node, ast.FunctionDef) for node in module.body)
