"""Arguments out of JSON replies, for the branches that wait for others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlaced.core.model import Argument, Payload
from interlaced.core.path import Path

__all__ = ["extract"]


def extract(payload: Payload, paths: Sequence[Path]) -> list[Argument | None]:
    """Finds arguments in a JSON body, None where there is none or where it is an object.

    The body is decoded once for all paths. ValueError says that it is not JSON that can be read.
    """
    essence = payload.media_type.partition(";")[0].strip().lower()
    if essence != "application/json" and not essence.endswith("+json"):
        raise ValueError("not JSON")
    try:
        document: object = msgspec.json.decode(payload.data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return [_argument(path.extract(document)) for path in paths]


def _argument(value: object) -> Argument | None:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        texts = [_text(item) for item in value]
        return None if None in texts else tuple(text for text in texts if text is not None)
    return None


def _text(item: object) -> str | None:
    """A list's item as it would stand in a URL."""
    if isinstance(item, bool):
        return "true" if item else "false"
    return str(item) if isinstance(item, str | int | float) else None
