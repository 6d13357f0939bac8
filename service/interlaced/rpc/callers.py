"""Who calls: API keys in the metadata, compared without telling how much of them was right."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from interlaced.core.failure import Failure, Reason
from interlaced.core.secret import Secret
from interlaced.rpc.guard import Authenticate

__all__ = ["require_api_key"]

_BEARER = "bearer "


def require_api_key(keys: Sequence[Secret]) -> Authenticate:
    """Returns an Authenticate that wants one of `keys`, as `authorization: Bearer KEY` or
    `x-api-key: KEY`; anything else raises CALLER_UNAUTHENTICATED with one and the same text."""
    digests = [_digest(key.reveal()) for key in keys]

    def authenticate(metadata: Mapping[str, str], _peer: Mapping[str, Any]) -> str:
        offered = _digest(_offered(metadata))
        # Every key is compared, so that the time taken says nothing about which one was near.
        matches = [hmac.compare_digest(offered, digest) for digest in digests]
        if not any(matches):
            raise Failure(Reason.CALLER_UNAUTHENTICATED, "an API key of this service is needed")
        return f"key-{matches.index(True)}"

    return authenticate


def _offered(metadata: Mapping[str, str]) -> str:
    """The key that the caller shows, or an empty text, which no key equals."""
    header = metadata.get("authorization", "")
    if header[: len(_BEARER)].lower() == _BEARER:
        return header[len(_BEARER) :].strip()
    return metadata.get("x-api-key", "")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=32).digest()
