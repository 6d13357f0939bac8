"""The JSON Schema of manifests, generated from the models that the loader itself uses."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from interlaced.connectors.registry import KINDS, MissingLibrary, load_kind
from interlaced.core.units import format_duration, format_size
from interlaced.resilience.config import PolicyConfig
from interlaced.schema.fields import Name

__all__ = ["WITH_POLICY", "connector_schema", "header_schema", "manifest_schema", "policy_schema"]

WITH_POLICY = ("operations", "sinks")
"""The sections whose members may have a policy of their own."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = r"\$\{(env|file|secret):"


def _name() -> dict[str, Any]:
    schema: dict[str, Any] = TypeAdapter(Name).json_schema()
    return schema


@functools.cache
def header_schema() -> Mapping[str, Any]:
    """Returns the schema of the keys that every connector has, whatever its kind."""
    return {
        "type": "object",
        "properties": {
            "interlace": {"const": 1, "description": "The version of this language."},
            "connector": {**_name(), "description": "The connector's name."},
            "description": {"type": "string", "description": "What it is for."},
            "policy": {"$ref": "#/$defs/PolicyUse", "description": "Its policy."},
            "upstream": {"type": "object", "properties": {kind: {} for kind in KINDS}},
        },
        "required": ["interlace", "connector", "upstream"],
        "$defs": _policy_definitions(),
    }


@functools.cache
def policy_schema() -> Mapping[str, Any]:
    """Returns the schema of a document of named policies."""
    named = {"type": "object", "additionalProperties": {"$ref": "#/$defs/PolicyConfig"}}
    named |= {"propertyNames": {"pattern": _name()["pattern"]}}
    return {
        "type": "object",
        "description": "Policies by name.",
        "properties": {"interlace": {"const": 1}, "policies": named},
        "required": ["interlace", "policies"],
        "additionalProperties": False,
        "$defs": _policy_definitions(),
    }


@functools.cache
def connector_schema(kind: str) -> Mapping[str, Any]:
    """Returns the schema of a whole document of one kind. Raises MissingLibrary."""
    own: dict[str, Any] = load_kind(kind).config.model_json_schema()
    header = header_schema()
    properties = {**header["properties"], **own.get("properties", {})}
    definitions = {**header["$defs"], **own.pop("$defs", {})}
    for section in WITH_POLICY:
        _allow_policy(properties.get(section), definitions)
    required = dict.fromkeys([*header["required"], *own.get("required", ())])
    schema = {**own, "properties": properties, "required": list(required), "$defs": definitions}
    _relax(schema)
    return schema


@functools.cache
def manifest_schema() -> Mapping[str, Any]:
    """Returns one JSON Schema (draft 2020-12) for every document of every file.

    Kinds whose library is not installed are left out; `$comment` says which.
    """
    definitions: dict[str, Any] = {}
    branches, missing = [_adopt(policy_schema(), "policies", definitions)], []
    for kind in KINDS:
        try:
            branches.append(_adopt(connector_schema(kind), kind, definitions))
        except MissingLibrary as error:
            missing.append(f"{kind} ({error.hint})")
    schema = {"$schema": _DIALECT, "title": "Interlace manifest", "type": "object"}
    if missing:
        schema["$comment"] = f"left out, since the library is missing: {', '.join(missing)}"
    return {**schema, "anyOf": branches, "$defs": definitions}


def _adopt(schema: Mapping[str, Any], kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Moves a schema's definitions to the common ones, under names that begin with the kind."""
    prefix = f"{kind}."
    for name, definition in schema["$defs"].items():
        definitions[prefix + name] = _renamed(definition, prefix)
    definitions[kind] = _renamed({k: v for k, v in schema.items() if k != "$defs"}, prefix)
    return {"$ref": f"#/$defs/{kind}"}


def _renamed(schema: Any, prefix: str) -> Any:
    if isinstance(schema, Mapping):
        return {
            key: f"#/$defs/{prefix}{value.rpartition('/')[2]}"
            if key == "$ref" and isinstance(value, str)
            else _renamed(value, prefix)
            for key, value in schema.items()
        }
    return [_renamed(item, prefix) for item in schema] if isinstance(schema, list) else schema


def _policy_definitions() -> dict[str, Any]:
    config = PolicyConfig.model_json_schema()
    definitions = config.pop("$defs", {})
    use = {"type": "string", "description": "The name of a policy that this one begins with."}
    inline = {**config, "properties": {"use": use, **config["properties"]}}
    definitions |= {
        "PolicyConfig": config,
        "PolicyUse": {"anyOf": [{"type": "string", "description": "A policy's name."}, inline]},
    }
    _relax(definitions)
    result: dict[str, Any] = definitions
    return result


def _allow_policy(section: Any, definitions: dict[str, Any]) -> None:
    """Adds the key `policy` to the members of a section: kinds do not know policies."""
    if not isinstance(section, Mapping):
        return
    members = [section.get("additionalProperties"), *section.get("patternProperties", {}).values()]
    for member in members:
        for model in _models(member, definitions):
            model["properties"]["policy"] = {"$ref": "#/$defs/PolicyUse"}


def _models(schema: Any, definitions: dict[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        return _models(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    below = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [
        *([schema] if "properties" in schema else []),
        *(model for each in below for model in _models(each, definitions)),
    ]


def _relax(schema: Any) -> None:
    """Allows references where numbers, booleans and formed texts stand, and writes defaults as
    people write them."""
    if isinstance(schema, list):
        for item in schema:
            _relax(item)
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key == "properties":
            for member in value.values():
                _relax(member)
        elif key != "default":
            _relax(value)
    _relax_type(schema)
    _relax_list(schema)
    _write_default(schema)


def _relax_type(schema: dict[str, Any]) -> None:
    if schema.get("type") in ("integer", "number", "boolean"):
        schema["type"] = [schema["type"], "string"]
        schema["pattern"] = _REFERENCE
    elif schema.get("type") == "string" and "pattern" in schema and "examples" in schema:
        schema["pattern"] = f"({schema['pattern']})|{_REFERENCE}"


def _relax_list(schema: dict[str, Any]) -> None:
    """Allows a list of free mappings, such as the frames of a subscription, to be written as the
    one mapping that it holds; the models take it, but their schema cannot say so."""
    item = schema.get("items")
    if isinstance(item, dict) and item.get("type") == "object" and "properties" not in item:
        items = {"type": schema.pop("type"), "items": schema.pop("items")}
        schema["anyOf"] = [items, item]


def _write_default(schema: dict[str, Any]) -> None:
    default = schema.get("default")
    if isinstance(default, bool) or not isinstance(default, int | float):
        return
    if schema.get("examples") == ["2s"]:
        schema["default"] = format_duration(default)
    elif schema.get("examples") == ["4MiB"]:
        schema["default"] = format_size(int(default))
