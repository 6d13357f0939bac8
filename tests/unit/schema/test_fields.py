"""The field types of configuration."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from interlaced.core.backoff import Backoff
from interlaced.core.secret import Secret
from interlaced.schema.fields import (
    BackoffField,
    Duration,
    Name,
    RateField,
    SecretField,
    Share,
    Size,
    Strict,
)


class Sample(Strict):
    """One of each."""

    name: Name = "a"
    wait: Duration = 1.0
    size: Size = 1
    share: Share = 0.5
    rate: RateField | None = None
    backoff: BackoffField = Backoff(0.1, 1.0)
    secret: SecretField | None = None


def test_fields_are_written_as_people_write_them() -> None:
    sample = Sample.model_validate(
        {
            "wait": "250ms",
            "size": "4MiB",
            "share": "10%",
            "rate": "50/s",
            "backoff": "200ms..5s full-jitter",
            "secret": "canary",
        }
    )
    assert (sample.wait, sample.size, sample.share) == (0.25, 4 * 1024**2, 0.1)
    assert sample.backoff == Backoff(0.2, 5.0)
    assert sample.rate is not None
    assert sample.rate.per_second == 50


def test_a_dump_is_written_back_the_same_way_and_shows_no_secret() -> None:
    dump = Sample(secret=Secret("canary")).model_dump_json()
    assert '"wait":"1s"' in dump
    assert '"backoff":"100ms..1s full-jitter"' in dump
    assert "canary" not in dump
    assert "canary" not in repr(Sample(secret=Secret("canary")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "1a"),
        ("name", "a b"),
        ("name", "a" * 64),
        ("wait", "2"),
        ("size", "4"),
        ("share", "200%"),
        ("backoff", "5s..1s"),
        ("backoff", "5s"),
        ("secret", 5),
        ("unknown", 1),
    ],
)
def test_what_is_wrong_is_refused_with_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as error:
        Sample.model_validate({field: value})
    assert error.value.errors()[0]["loc"] == (field,)


def test_the_json_schema_says_how_each_is_written() -> None:
    properties = Sample.model_json_schema()["properties"]
    assert properties["wait"]["pattern"].startswith("^")
    assert properties["secret"]["anyOf"][0]["type"] == "string"
