"""The schema and the data of the codec benchmarks: fresh, real, and the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from benchmarks.codecs.converting import CONVERTING, PLAIN, message_of
from benchmarks.codecs.schema import COMPILED, message_class, spec_of
from benchmarks.codecs.shapes import MAKERS, SHAPES, shape
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]


def test_the_compiled_schema_is_what_protoc_makes_of_the_proto(tmp_path: Path) -> None:
    made = tmp_path / "schema.binpb"
    includes = [f"--proto_path={ROOT}", f"--proto_path={files('grpc_tools') / '_proto'}"]
    outputs = ["--include_imports", f"--descriptor_set_out={made}"]
    code = protoc.main(["protoc", *includes, *outputs, "benchmarks/codecs/schema.proto"])
    assert code == 0
    assert made.read_bytes() == COMPILED.read_bytes()


def test_the_classes_are_of_the_kind_that_generated_code_has() -> None:
    assert type(message_class("Record")) is type(Timestamp)
    assert type(Timestamp).__module__.startswith("google._upb")


def test_the_wide_shape_has_200_fields_and_the_list_1000_records() -> None:
    assert len(spec_of("Wide").fields) == 200
    assert len(shape("wide_200").data) == 200
    assert len(shape("list_1000").data["records"]) == 1_000
    assert len(SHAPES) == 10


def test_a_sparse_value_sets_a_few_of_its_many_optional_fields() -> None:
    assert all(field.optional for field in spec_of("Sparse").fields)
    assert 0 < len(shape("sparse_optionals").data) < len(spec_of("Sparse").fields) / 4


def test_every_shape_has_the_same_data_in_every_process() -> None:
    probe = (
        "from benchmarks.codecs.converting import CONVERTING, message_of\n"
        "from benchmarks.codecs.shapes import SHAPES\n"
        "import hashlib\n"
        "for name in (*SHAPES, *CONVERTING):\n"
        "    raw = message_of(name).SerializeToString(deterministic=True)\n"
        "    print(name, hashlib.sha256(raw).hexdigest())\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", probe],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().count("\n") == len(SHAPES) + len(CONVERTING)


def test_every_field_of_a_converting_message_is_set() -> None:
    for name in CONVERTING:
        message = message_of(name)
        assert {field for field, _ in message.ListFields()} == set(message.DESCRIPTOR.fields)


def test_plain_shapes_have_no_field_that_json_writes_in_another_way() -> None:
    kinds = {
        field.kind
        for name in PLAIN
        for message in (MAKERS[name][0], "Record", "Address", "LineItem")
        for field in spec_of(message).fields
    }
    assert "bytes" not in kinds
    types = {
        field.type
        for name in ("Record", "Address", "LineItem", "Node")
        for field in message_class(name).DESCRIPTOR.fields
    }
    assert not types & {3, 4, 6, 16, 18}, "a 64-bit integer is text in JSON"
