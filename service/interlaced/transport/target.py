"""Request targets: values as segments of a path and pairs of a query, so that they stay that."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, unquote

__all__ = ["encode_pairs", "encode_segment", "is_literal_path", "is_plain", "is_text"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SEPARATORS = re.compile(r"[/\\]")
_LITERAL = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*")
is_plain = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,254}").fullmatch
"""Matches what most values are: a text that `encode_segment` leaves as it is, since it needs no
encoding, and no reading of it is a dot segment."""
_ROUNDS = 4
_LONGEST_SEGMENT = 8190


def is_text(value: str) -> bool:
    """Whether the text is free of control characters and of half surrogate pairs."""
    return _CONTROL.search(value) is None


def is_literal_path(path: str) -> bool:
    """Whether a path of the configuration is written as it goes out: encoded, without query,
    fragment or dot segments."""
    return _LITERAL.fullmatch(path) is not None and not _has_dots(path)


def encode_segment(value: str) -> str:
    """Percent-encodes a text as one whole segment of a path.

    ValueError if it is empty, longer than any server would read (8190 characters) or has control
    characters, or if any server that decodes it once more, or folds its letters, would find a dot
    segment in it.
    """
    if is_plain(value):
        return value
    if not value:
        raise ValueError("must not be empty")
    if len(value) > _LONGEST_SEGMENT:
        raise ValueError(f"must not be longer than {_LONGEST_SEGMENT} characters")
    if not is_text(value):
        raise ValueError("must not have control characters")
    if _has_dots(value):
        raise ValueError("must not have dot segments")
    return quote(value, safe="")


def _has_dots(value: str) -> bool:
    for _ in range(_ROUNDS):
        folded = value if value.isascii() else _fold(value)
        for part in _SEPARATORS.split(folded):
            # Some servers cut a segment's parameters off before they look at it: `..;a`.
            if part.partition(";")[0].strip() in (".", ".."):
                return True
        decoded = unquote(folded)
        if decoded == value:
            return False
        value = decoded
    return True  # encoded five times over: nobody's honest name


def _fold(value: str) -> str:
    """Folds letter by letter: the order of the marks behind a letter, which normalizing the whole
    would settle at the square of their number, makes neither a dot nor a slash."""
    return "".join([unicodedata.normalize("NFKC", letter) for letter in value])


def encode_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Percent-encodes pairs as a query or a form; a blank becomes %20, which both understand."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
