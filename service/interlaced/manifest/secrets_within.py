"""The secrets that a connector's settings hold, with their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from interlaced.core.secret import Secret
from interlaced.manifest.validation import Keys

__all__ = ["secrets_within"]


def secrets_within(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, Secret]]:
    """Finds every Secret in a model and all below it; keys are those of the document."""
    if isinstance(value, Secret):
        yield keys, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if name in value.model_fields_set:
                yield from secrets_within(getattr(value, name), (*keys, field.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_within(item, (*keys, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from secrets_within(item, (*keys, index))
