"""The JSON Schema says what the loader says: it takes every README's manifest, and no errors."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from manifest_rig import MEMORY, SHOP

from interlaced.connectors.registry import KINDS, MissingLibrary
from interlaced.manifest import schema as schemas
from interlaced.manifest.schema import connector_schema, manifest_schema
from interlaced.manifest.source import ListNode, MapNode, Node, read_source

ROOT = Path(schemas.__file__).parents[1]
READMES = sorted((ROOT / "connectors").glob("*/README.md"))
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,),
    "number": (int, float), "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
KNOWN = {
    "$ref", "$defs", "$schema", "$comment", "title", "description", "default", "examples", "type",
    "format", "writeOnly", "const", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames",
    "items", "prefixItems", "anyOf", "oneOf", "allOf",
}  # fmt: skip


def is_valid(root: Any, schema: Any, value: object) -> bool:
    """A small checker for what our schemas use; a keyword that it does not know fails the test."""
    if isinstance(schema, bool):
        return schema
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        return is_valid(root, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value)
    return (
        _fits_type(schema, value)
        and _fits_union(root, schema, value)
        and _fits_scalar(schema, value)
        and _fits_members(root, schema, value)
    )


def _fits_type(schema: Any, value: object) -> bool:
    names = schema.get("type", list(TYPES))
    allowed = [
        each for name in ([names] if isinstance(names, str) else names) for each in TYPES[name]
    ]
    return type(value) in allowed


def _fits_union(root: Any, schema: Any, value: object) -> bool:
    return all(
        any(is_valid(root, branch, value) for branch in schema[name])
        for name in ("anyOf", "oneOf")
        if name in schema
    ) and all(is_valid(root, branch, value) for branch in schema.get("allOf", ()))


def _fits_scalar(schema: Any, value: object) -> bool:
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float):
        return value >= schema.get("minimum", value) and value <= schema.get("maximum", value)
    return True


def _fits_members(root: Any, schema: Any, value: object) -> bool:
    if isinstance(value, list):
        return all(is_valid(root, schema.get("items", True), item) for item in value)
    if not isinstance(value, dict):
        return True
    return schema.get("required", []) == [
        k for k in schema.get("required", []) if k in value
    ] and all(
        is_valid(root, _member(schema, key), item)
        and is_valid(root, schema.get("propertyNames", True), key)
        for key, item in value.items()
    )


def _member(schema: Any, key: str) -> Any:
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    for pattern, member in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return member
    return schema.get("additionalProperties", True)


def plain(node: Node) -> Any:
    if isinstance(node, MapNode):
        return {key: plain(entry.value) for key, entry in node.entries.items()}
    return [plain(item) for item in node.items] if isinstance(node, ListNode) else node.value


def documents(text: str) -> list[Any]:
    return [plain(node) for node in read_source("x", text.encode()).documents]


def examples(path: Path) -> list[Any]:
    blocks = re.findall(r"```ya?ml\n(.*?)```", path.read_text(), re.S)
    found = [document for block in blocks for document in documents(block)]
    return [each for each in found if isinstance(each, dict) and "interlace" in each]


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_every_readme_has_a_manifest_that_the_schema_takes(path: Path) -> None:
    schema = manifest_schema()
    assert examples(path)
    for document in examples(path):
        assert is_valid(schema, schema, document), document


@pytest.mark.parametrize("text", [SHOP, MEMORY])
def test_the_schema_takes_what_the_loader_takes(text: str) -> None:
    schema = manifest_schema()
    assert all(is_valid(schema, schema, document) for document in documents(text))


@pytest.mark.parametrize(
    "text",
    [
        MEMORY.replace("memory: main", "memroy: main"),
        MEMORY.replace("interlace: 1", "interlace: 2"),
        MEMORY.replace("echo: true", "ecoh: true"),
        MEMORY + "policy: {retries: 4}\n",
        MEMORY + "policy: {deadline: 5 s}\n",
        MEMORY.replace("echo: true", "echo: true, policy: {deadlin: 5s}"),
        "interlace: 1\npolicies: {a: {retry: {attempts: 99}}}\n",
        "interlace: 1\n",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    schema = manifest_schema()
    assert not all(is_valid(schema, schema, document) for document in documents(text))


def test_references_may_stand_for_numbers_and_durations() -> None:
    text = MEMORY + "policy: {deadline: '${env:D}', retry: {attempts: '${env:N:-3}'}}\n"
    schema = manifest_schema()
    assert all(is_valid(schema, schema, document) for document in documents(text))


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = manifest_schema()
    text = json.dumps(schema)
    targets = set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text))
    assert targets <= set(schema["$defs"])
    assert set(KINDS) <= set(schema["$defs"])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_defaults_are_written_as_people_write_them() -> None:
    definition = connector_schema("rest")["$defs"]["PolicyConfig"]
    assert definition["properties"]["deadline"]["default"] == "30s"
    assert definition["properties"]["deadline"]["description"]


def test_a_kind_without_its_library_is_left_out_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_nats(kind: str) -> Any:
        if kind == "nats":
            raise MissingLibrary(kind, "nats")
        return connector_schema(kind)

    monkeypatch.setattr(schemas, "connector_schema", without_nats)
    schema = manifest_schema.__wrapped__()
    assert "nats" not in schema["$defs"]
    assert "pip install 'interlaced[nats]'" in schema["$comment"]
