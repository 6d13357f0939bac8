"""What competing consumers have in common."""

from __future__ import annotations

import pytest

from interlaced.connectors.competing import check_group, dead_letter, never_settled
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Event, Settlement, Verdict


@pytest.mark.parametrize("name", ["a", "billing-2", "A_b", "x" * 64])
def test_a_plain_name_is_a_group(name: str) -> None:
    check_group(name)
    with pytest.raises(Failure):
        check_group(f"{name}.")


@pytest.mark.parametrize("name", ["", "a.b", "a b", "x" * 65, "é", "a\n", "*", ">"])
def test_a_name_that_some_broker_cannot_keep_is_refused(name: str) -> None:
    with pytest.raises(Failure) as refused:
        check_group(name)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in refused.value.fields] == ["open.group"]


def test_a_dead_letter_keeps_what_the_event_had_and_says_why() -> None:
    event = Event(id="1", source="s", type="t", data=b"x", position=b"p", attributes={"a": "b"})
    letter = dead_letter(event, "no" * 500, attempts=3, group="billing")
    assert (letter.id, letter.source, letter.data, letter.position) == ("1", "s", b"x", b"")
    assert dict(letter.attributes) == {
        "a": "b",
        "interlacecause": ("no" * 500)[:256],
        "interlaceattempts": "3",
        "interlacegroup": "billing",
    }


async def test_a_broadcast_settles_nothing() -> None:
    assert await never_settled(Settlement(Verdict.REJECT)) is None
