"""The redactor alone."""

from __future__ import annotations

import pytest

from interlaced.core.secret import Secret
from interlaced.telemetry.redact import MASK, Redactor


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("nats://user:pass@host:4222", "nats://***@host:4222"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("plain text", "plain text"),
    ],
)
def test_credentials_are_masked_where_nobody_taught_them(shown: str, expected: str) -> None:
    assert Redactor().text(shown) == expected


def test_a_short_secret_is_not_learnt_since_it_would_mask_ordinary_text() -> None:
    redactor = Redactor()
    redactor.learn([Secret("abc")])
    assert redactor.text("abc") == "abc"


def test_the_longer_of_two_overlapping_secrets_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.learn([Secret("token-1"), Secret("token-1-and-more")])
    assert redactor.text("token-1-and-more") == MASK


def test_values_that_are_not_text_pass_as_they_are() -> None:
    assert Redactor().value([1, 2.5, True, None]) == [1, 2.5, True, None]
