"""Retry-After and the RateLimit fields (F8, P17)."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.retry_after import LONGEST, ResetMeaning, retry_after_seconds

WALL = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": " 5 "}, 5.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "86400"}, LONGEST),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": formatdate(WALL + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(WALL - 30, usegmt=True)}, 0.0),
        ({"retry-after": formatdate(WALL + 1e6, usegmt=True)}, LONGEST),
        ({"retry-after": "Tuesday, 14-Nov-23 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue Nov 14 22:13:50 2023"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 23:13:50 +0100"}, 30.0),
        ({"retry-after": "Tue, 99 Foo 99999 99:99:99 GMT"}, None),
        ({"ratelimit": '"default";r=0;t=30'}, 30.0),
        ({"ratelimit": '"default"; r=0; t=30'}, 30.0),
        ({"ratelimit": '"default";r=5;t=30'}, None),
        ({"ratelimit": '"a";r=0;t=7, "b";r=0;t=9, "c";r=3;t=99'}, 9.0),
        ({"ratelimit": '"default";r=0'}, None),
        ({"ratelimit": '"default";t=30'}, None),
        ({"ratelimit": "garbage;;;=,"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, 12.0),
        ({"ratelimit-remaining": "4", "ratelimit-reset": "12"}, None),
        ({"x-ratelimit-reset": "9"}, 9.0),
        ({"x-ratelimit-reset": str(int(WALL) + 9)}, 9.0),
        ({"x-ratelimit-reset": str(int(WALL) - 9)}, 0.0),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "9"}, None),
        ({"x-ratelimit-reset": "tomorrow"}, None),
        ({"retry-after": "2", "ratelimit": '"default";r=0;t=30'}, 2.0),
        ({"retry-after": "soon", "ratelimit": '"default";r=0;t=30'}, 30.0),
    ],
)
def test_the_fields_are_read(headers: dict[str, str], seconds: float | None):
    """P17, F8: seconds, all date forms, the past, garbage, too far, epoch and delta."""
    assert retry_after_seconds(headers, WALL) == seconds


@pytest.mark.parametrize(
    ("reset", "text", "seconds"),
    [
        (ResetMeaning.DELTA, str(int(WALL) + 9), LONGEST),
        (ResetMeaning.EPOCH, "9", 0.0),
        (ResetMeaning.EPOCH, str(int(WALL) + 9), 9.0),
    ],
)
def test_the_meaning_of_a_reset_can_be_declared(reset: ResetMeaning, text: str, seconds: float):
    """F8: epoch or delta."""
    assert retry_after_seconds({"x-ratelimit-reset": text}, WALL, reset=reset) == seconds


fields = st.sampled_from(
    [
        "retry-after",
        "ratelimit",
        "ratelimit-reset",
        "ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-remaining",
    ]
)
pieces = st.sampled_from(
    ["0", "9", "99999999999999", "Tue", ",", " ", "GMT", "Nov", ":", "-", "r=", ";t=", '"', "é"]
)


@given(st.dictionaries(fields, st.text(max_size=80) | st.lists(pieces, max_size=30).map("".join)))
def test_whatever_is_sent_the_answer_is_none_or_within_an_hour(headers: dict[str, str]):
    """F8: garbage never raises, never waits for ever, and never goes back in time."""
    seconds = retry_after_seconds(headers, WALL)
    assert seconds is None or 0.0 <= seconds <= LONGEST
