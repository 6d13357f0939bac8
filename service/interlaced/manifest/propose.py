"""Proposals: which key or name was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from interlaced.manifest.shape import Shape

__all__ = ["propose_key", "propose_name"]

_OTHER_WORDS = {
    "retries": "retry.attempts",
    "retry_count": "retry.attempts",
    "max_retries": "retry.attempts",
    "max_attempts": "retry.attempts",
    "retry_backoff": "retry.backoff",
    "backoff": "retry.backoff",
    "retry_on": "retry.statuses",
    "timeout": "deadline",
    "total_timeout": "deadline",
    "request_timeout": "attempt_timeout",
    "per_try_timeout": "attempt_timeout",
    "circuit_breaker": "breaker",
    "circuitbreaker": "breaker",
    "rate_limit": "limit",
    "ratelimit": "limit",
    "rps": "limit.rate",
    "throttle": "limit",
    "concurrency": "bulkhead.in_flight",
    "max_concurrency": "bulkhead.in_flight",
    "max_connections": "bulkhead.in_flight",
    "url": "rest",
    "base_url": "rest",
    "endpoint": "rest",
    "name": "connector",
    "endpoints": "operations",
    "streams": "feeds",
    "topics": "sinks",
    "params": "query",
    "json": "body",
    "data": "body",
    "path": "get",
    "desc": "description",
    "policies": "policy",
    "token": "bearer",
    "headers_in": "headers",
}
"""What other systems call it. A proposal is made only where the key exists."""


def propose_key(shape: Shape, key: str, *, is_scalar: bool = True) -> str:
    """Returns `did you mean 'retry.attempts'?` or an empty text.

    Keys of the place itself come first, then those one level below that can take the value.
    """
    direct = list(shape.keys)
    below = [path for path in shape.paths() if "." in path]
    other = _OTHER_WORDS.get(key.lower().replace("-", "_"), "")
    if other in direct or other in below:
        return _ask(other)
    close = _closest(key, direct)
    if close and (shape.takes_scalar(close) or not is_scalar):
        return _ask(close)
    leaves = {path.rpartition(".")[2]: path for path in reversed(below)}
    leaf = _closest(key, leaves)
    return _ask(leaves[leaf] if leaf else close)


def propose_name(name: str, names: Iterable[str]) -> str:
    """Returns `did you mean 'vendor-default'?`, or what there is, or an empty text."""
    known = sorted(names)
    close = _closest(name, known)
    if close:
        return _ask(close)
    return f"there is {', '.join(known)}" if 0 < len(known) <= 8 else ""


def _closest(word: str, words: Iterable[str]) -> str:
    lowered = {each.lower(): each for each in words}
    found = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


def _ask(word: str) -> str:
    return f"did you mean '{word}'?" if word else ""
