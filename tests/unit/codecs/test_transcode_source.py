"""The generated functions touch what changes, and nothing else."""

from __future__ import annotations

import ast

from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from rich_proto import Leaf, Rich, Shelf

from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_source import SourceWriter


def write(kind: type[Message], *, original_names: bool = False, nulls: bool = True) -> str:
    reached = Plans().reach(kind.DESCRIPTOR)
    return SourceWriter(reached, original_names=original_names, nulls=nulls).write()


def functions_of(source: str) -> set[str]:
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def test_a_message_without_messages_is_built_where_it_is_held() -> None:
    source = write(Shelf)
    shelf = source.split("def build0(m, d, left):\n")[1].split("\ndef ")[0]
    assert "m1.size = v1" in shelf  # a Leaf
    assert "n += build2(u, v, left - 1)" in shelf  # a Box may hold another one
    assert functions_of(source) >= {"build0", "build2"}
    assert "build1" not in functions_of(source)


def test_what_holds_no_keys_is_counted_by_its_length() -> None:
    assert functions_of(write(Leaf)) == {"build0", "count0"}
    assert "sum(map(len, v))" in write(descriptor_pb2.UninterpretedOption)
    assert "sum(map(count1, v))" in write(descriptor_pb2.FileDescriptorSet)


def test_only_where_null_may_stand_is_it_looked_for() -> None:
    assert "is not None" in write(Leaf)
    assert "v is not None:\n        m" not in write(Leaf, nulls=False)
    assert "longs(" in write(Rich)
    assert "longs(" not in write(Rich, nulls=False)


def test_it_is_python_whatever_the_names_are() -> None:
    for original in (False, True):
        for nulls in (False, True):
            assert "build0" in functions_of(write(Rich, original_names=original, nulls=nulls))
