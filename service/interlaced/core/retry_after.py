"""When an upstream says to come back: `Retry-After` and the RateLimit fields, not trusted."""

from __future__ import annotations

import calendar
import enum
import re
from collections.abc import Mapping
from email.utils import parsedate_tz

__all__ = ["LONGEST", "ResetMeaning", "retry_after_seconds"]

LONGEST = 3600.0
"""No upstream makes us wait longer than this, in seconds, whatever it says."""

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_PARAMETER = re.compile(r";\s*([a-z]+)\s*=\s*(\d{1,15})(?=\s*(?:;|,|$))", re.ASCII)
_EPOCH_FROM = 1e9


class ResetMeaning(enum.StrEnum):
    """What an upstream means by `x-ratelimit-reset`."""

    DELTA = "delta"
    """Seconds from now."""
    EPOCH = "epoch"
    """Seconds since 1970."""
    GUESS = "guess"
    """Not declared: a number of a billion or more is a time, a smaller one a delay."""


def retry_after_seconds(
    headers: Mapping[str, str],
    wall: float,
    *,
    reset: ResetMeaning = ResetMeaning.GUESS,
) -> float | None:
    """Returns how long to wait, in seconds from now, or None if no field says so.

    `headers` has lower-case names; `wall` is the time of day in seconds since 1970. The first
    field that can be read wins: `retry-after` (seconds or date), `ratelimit` (the IETF field),
    `ratelimit-reset` (a delay), `x-ratelimit-reset` (as `reset` declares). The RateLimit fields
    count only where nothing remains. The result lies within 0 and an hour; a date in the past is
    0, and what cannot be read counts as not there.
    """
    if not headers:
        return None
    wait = _retry_after(headers.get("retry-after"), wall)
    if wait is None:
        wait = _rate_limit(headers.get("ratelimit"))
    if wait is None:
        wait = _older_fields(headers, wall, reset)
    return None if wait is None else min(max(wait, 0.0), LONGEST)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _retry_after(text: str | None, wall: float) -> float | None:
    if text is None:
        return None
    text = text.strip()
    seconds = _number(text)
    return seconds if seconds is not None else _date(text, wall)


def _date(text: str, wall: float) -> float | None:
    """Reads an HTTP date in any of its three historic forms; a date without a zone is GMT."""
    if len(text) > 64:
        return None
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        return float(calendar.timegm(parsed[:9])) - (parsed[9] or 0) - wall
    except (ValueError, OverflowError, IndexError, TypeError):
        # parsedate_tz trusts its input: years of four digits and months of none get through it.
        return None


def _rate_limit(text: str | None) -> float | None:
    """Reads `"default";r=0;t=30`, possibly several policies; the longest wait of those spent."""
    if text is None or len(text) > 1024:
        return None
    waits = []
    for item in text.split(","):
        fields = dict(_PARAMETER.findall(item))
        if "t" in fields and int(fields.get("r", "1")) == 0:
            waits.append(float(fields["t"]))
    return max(waits, default=None)


def _older_fields(headers: Mapping[str, str], wall: float, reset: ResetMeaning) -> float | None:
    """Reads the two older spellings: the drafts' `ratelimit-reset` is always a delay, the vendors'
    `x-ratelimit-reset` is a time (37 of 47 real connectors) or a delay."""
    for prefix in ("ratelimit", "x-ratelimit"):
        if (_number(headers.get(f"{prefix}-remaining", "0").strip()) or 0.0) > 0:
            continue
        seconds = _number(headers.get(f"{prefix}-reset", "").strip())
        if seconds is None:
            continue
        meaning = ResetMeaning.DELTA if prefix == "ratelimit" else reset
        is_time = meaning is ResetMeaning.EPOCH or (
            meaning is ResetMeaning.GUESS and seconds >= _EPOCH_FROM
        )
        return seconds - wall if is_time else seconds
    return None
