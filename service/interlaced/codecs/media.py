"""Media types: which is which, what a caller accepts, and how one becomes another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from interlaced.codecs import json, msgpack, usual
from interlaced.codecs.codec import Codec, CodecError, UnfitError

__all__ = [
    "JSON",
    "MSGPACK",
    "accepts",
    "bare",
    "charset",
    "codec_for",
    "is_range",
    "is_type",
    "preferred",
    "transcode",
]

JSON = "application/json"
MSGPACK = "application/msgpack"
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_REMEMBERED = 256
"""How many answers about a media type are kept: services send few, and hostile ones only cost."""
_MSGPACK_NAMES = frozenset((MSGPACK, "application/x-msgpack", "application/vnd.msgpack"))


@lru_cache(_REMEMBERED)
def bare(media_type: str) -> str:
    """Returns the type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def is_range(media_type: str) -> bool:
    """Whether the text is a pattern such as `image/*` or `*/*`."""
    return bare(media_type).endswith("/*")


@lru_cache(_REMEMBERED)
def is_type(media_type: str) -> bool:
    """Whether the text is `TYPE/SUBTYPE`, perhaps with parameters, and no pattern."""
    return _TYPE.fullmatch(bare(media_type)) is not None


@lru_cache(_REMEMBERED)
def charset(media_type: str) -> str:
    """Returns the charset that the type declares, in lower case, or empty."""
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


@lru_cache(_REMEMBERED)
def _family(media_type: str) -> str:
    """Returns JSON or MSGPACK for the types that are one of them by another name, else the type."""
    name = bare(media_type)
    if name.endswith("+json"):
        return JSON
    return MSGPACK if name in _MSGPACK_NAMES or name.endswith("+msgpack") else name


def codec_for(media_type: str) -> Codec | None:
    """Returns the codec of a media type, or None where bytes can only pass untouched."""
    return _CODECS.get(_family(media_type))


@lru_cache(_REMEMBERED)
def _fits(pattern: str, media_type: str) -> bool:
    wanted, name = bare(pattern), bare(media_type)
    if wanted in ("*/*", name):
        return True
    if wanted.endswith("/*"):
        return name.startswith(wanted[:-1])
    return wanted in (JSON, MSGPACK) and wanted == _family(name)


def accepts(accept: Sequence[str], media_type: str) -> bool:
    """Whether bytes of this type may go to the caller untouched. No wishes means anything; who
    accepts `application/json` also takes `application/problem+json`, not the other way round."""
    return not accept or any(_fits(pattern, media_type) for pattern in accept)


def preferred(accept: Sequence[str], media_type: str) -> str | None:
    """Returns the media type that the caller gets for an upstream's: its own if that is accepted,
    the first accepted one that it can become, or None."""
    if accepts(accept, media_type):
        return media_type
    if codec_for(media_type) is None:
        return None
    return next((bare(pattern) for pattern in accept if codec_for(pattern) is not None), None)


def transcode(data: bytes, source: str, target: str) -> bytes:
    """Writes a value of one media type in another; both need a codec.

    CodecError when the bytes are not in their type, UnfitError when the value does not fit the
    other one.
    """
    names = (_family(source), _family(target))
    if not _CODECS.keys() >= set(names):
        raise ValueError("there is no codec for these media types")
    if names[0] == names[1]:
        return data
    try:
        return _SHORTCUTS[names](data)
    except usual.UNUSUAL:
        return _transcode_carefully(data, *map(_CODECS.__getitem__, names))


def _transcode_carefully(data: bytes, reader: Codec, writer: Codec) -> bytes:
    value = reader.decode_carefully(data)
    try:
        return writer.encode(value)
    except CodecError as error:
        raise UnfitError(str(error), error.place) from error


_CODECS: dict[str, Codec] = {JSON: json, MSGPACK: msgpack}
_SHORTCUTS: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    (JSON, MSGPACK): usual.json_to_msgpack,
    (MSGPACK, JSON): usual.msgpack_to_json,
}
