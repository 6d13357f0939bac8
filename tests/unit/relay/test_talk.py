"""The first messages, which carry the version."""

from __future__ import annotations

import pytest

from interlaced.core.cursor import Place
from interlaced.relay.talk import Hello, Seat, Welcome
from interlaced.relay.wire import WireError


@pytest.mark.parametrize("place", [None, Place(3, b"there")])
def test_a_hello_comes_back(place: Place | None) -> None:
    assert Hello.unpack(Hello(place).pack()) == Hello(place)


@pytest.mark.parametrize("seat", list(Seat))
def test_a_welcome_comes_back(seat: Seat) -> None:
    welcome = Welcome(seat, 2**32 - 1, Place(3, b"there"))
    assert Welcome.unpack(welcome.pack()) == welcome


def test_another_version_and_another_message_are_refused() -> None:
    hello, welcome = Hello(None).pack(), Welcome(Seat.FRESH, 1, Place()).pack()
    for message in (b"", welcome, b"H\x02" + hello[2:], b"X" + hello[1:]):
        with pytest.raises(WireError):
            Hello.unpack(message)
    for message in (b"", hello, b"W\x02" + welcome[2:], welcome[:2] + b"\x07" + welcome[3:]):
        with pytest.raises(WireError):
            Welcome.unpack(message)
