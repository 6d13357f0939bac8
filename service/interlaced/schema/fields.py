"""Field types that every room's configuration is made of, and the base of its models."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from interlaced.core.backoff import Backoff
from interlaced.core.secret import Secret
from interlaced.core.units import (
    Rate,
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)
from interlaced.schema.docs import docs_of

__all__ = [
    "BackoffField",
    "Duration",
    "Name",
    "RateField",
    "SecretField",
    "Share",
    "Size",
    "Strict",
]

ValueT = TypeVar("ValueT")


class Strict(BaseModel):
    """The base of every model of configuration: unknown keys are errors, nothing changes later.

    What stands below a field is its description in the JSON Schema. It is read from the source when
    somebody asks for that schema: pydantic would read every source whenever a process starts.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        populate_by_name=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describes the fields."""
        told = handler(schema)
        shown = handler.resolve_ref_schema(told).get("properties", {})
        docs = docs_of(cls)
        for name, field in cls.model_fields.items():
            member = shown.get(field.alias or name)
            if member is not None and name in docs:
                member.setdefault("description", docs[name])
        return told


def _from_text(parse: Any) -> BeforeValidator:
    """Lets a field be written as text; a value of the final type passes."""

    def read(value: object) -> object:
        return parse(value) if isinstance(value, str) else value

    return BeforeValidator(read)


def _text_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration: TypeAlias = Annotated[
    float,
    _from_text(parse_duration),
    PlainSerializer(format_duration),
    _text_schema(r"^\d+(\.\d+)?(ms|s|m|h|d)$", "2s"),
]
"""Seconds, written `250ms`, `2s`, `5m`, `1h` or `7d`."""

Size: TypeAlias = Annotated[
    int,
    _from_text(parse_size),
    PlainSerializer(format_size),
    _text_schema(r"^\d+(\.\d+)? ?(B|kB|MB|GB|KiB|MiB|GiB)$", "4MiB"),
]
"""Bytes, written `500kB` or `4MiB`."""

Share: TypeAlias = Annotated[
    float,
    _from_text(parse_share),
    PlainSerializer(lambda share: f"{share * 100:g}%"),
    _text_schema(r"^\d+(\.\d+)?%$", "10%"),
]
"""A share of 1, written `10%`."""

RateField: TypeAlias = Annotated[
    Rate,
    _from_text(parse_rate),
    PlainSerializer(str),
    _text_schema(r"^\d+(\.\d+)?/(ms|s|m|h|d)$", "50/s"),
]
"""A rate, written `50/s`."""


def _parse_backoff(text: str) -> Backoff:
    """Reads `200ms..5s` or `200ms..5s full-jitter`; ValueError says what is expected."""
    base, dots, cap = text.removesuffix(" full-jitter").partition("..")
    if not dots:
        raise ValueError("expected a range of waits such as 200ms..5s full-jitter")
    backoff = Backoff(parse_duration(base), parse_duration(cap))
    if backoff.base > backoff.cap:
        raise ValueError("the first wait is longer than the last")
    return backoff


def _format_backoff(backoff: Backoff) -> str:
    return f"{format_duration(backoff.base)}..{format_duration(backoff.cap)} full-jitter"


BackoffField: TypeAlias = Annotated[
    Backoff,
    _from_text(_parse_backoff),
    PlainSerializer(_format_backoff),
    _text_schema(r"^[0-9.]+(ms|s|m|h|d)\.\.[0-9.]+(ms|s|m|h|d)( full-jitter)?$", "200ms..5s"),
]
"""Jittered waits between a first and a longest, written `200ms..5s full-jitter`."""


class _SecretSchema:
    """Tells pydantic how to take a text or a Secret, and never to show it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        def read(value: object) -> Secret:
            if isinstance(value, Secret):
                return value
            if isinstance(value, str):
                return Secret(value)
            raise ValueError("expected a text")

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


SecretField: TypeAlias = Annotated[
    Secret,
    _SecretSchema,
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True}),
]
"""A secret text, best written `${env:NAME}`, `${file:PATH}` or `${secret:PATH#KEY}`."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
"""A name of a connector, operation, feed, sink or policy."""
