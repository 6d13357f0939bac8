"""What may stand in an HTTP header that is not ours to frame."""

from __future__ import annotations

import re

__all__ = ["check_header", "check_target", "is_name", "is_target", "is_value"]

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
# Horizontal tab, and what is printable in ASCII: how any other letter is written differs from one
# library to the next (aiohttp writes UTF-8, servers read Latin-1; U+010A may end up a line feed).
_VALUE = re.compile(r"[\t\x20-\x7e]*")

is_target = re.compile(r"/[!-~]*").fullmatch
"""Matches what `check_target` takes, without a call of ours around it."""

_FRAMING = frozenset(
    (
        "accept-encoding",  # the transport decodes, so it says what it can
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


def is_name(name: str) -> bool:
    """Whether the text can be the name of a header (RFC 9110, section 5.1)."""
    return _NAME.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Whether the text can be the value of a header: one line of printable ASCII that neither
    begins nor ends with a blank."""
    return _VALUE.fullmatch(value) is not None and value == value.strip(" \t")


def check_target(target: str) -> None:
    """Raises ValueError unless the text is an encoded path, with or without a query: one word of
    printable ASCII that begins with a slash."""
    if is_target(target) is None:
        raise ValueError("not a request target")


def check_header(name: str, value: str = "") -> None:
    """Raises ValueError if the header cannot be sent, or belongs to the transport alone."""
    if not is_name(name):
        raise ValueError("not a header name")
    if name.lower() in _FRAMING:
        raise ValueError(f"the header {name.lower()} belongs to the transport")
    if not is_value(value):
        raise ValueError(f"the value of the header {name.lower()} cannot be sent")
