"""What every kind of feed lets people bound."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from interlaced.connectors.history import History
from interlaced.connectors.registry import KINDS, load_kind


def test_the_bounds_are_written_as_people_write_them() -> None:
    history = History.model_validate({"retain": "1h", "ring": {"events": 5, "bytes": "4MiB"}})
    assert (history.retain, history.ring.events, history.ring.bytes) == (3600, 5, 4 * 1024**2)
    assert History().retain == 60
    for wrong in ({"retain": "-1s"}, {"ring": {"events": 0}}, {"ring": {"bytes": "1B"}}):
        with pytest.raises(ValidationError):
            History.model_validate(wrong)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_with_feeds_has_them(kind: str) -> None:
    feeds = load_kind(kind).config.model_fields.get("feeds")
    if feeds is None:
        assert kind == "rest"
        return
    assert "History" in {
        base.__name__ for each in feeds.annotation.__args__ for base in getattr(each, "__mro__", ())
    }
