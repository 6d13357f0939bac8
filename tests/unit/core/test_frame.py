"""What a subscriber asks for has sane defaults."""

from __future__ import annotations

from interlaced.core.frame import Frame, FrameKind, OverflowPolicy, Wishes
from interlaced.core.ports import StartKind


def test_a_subscriber_that_asks_for_nothing_blocks_and_starts_now() -> None:
    wishes = Wishes()
    assert wishes.start.kind is StartKind.NOW
    assert wishes.overflow.policy is OverflowPolicy.BLOCK
    assert wishes.filter.canonical == b""
    assert not wishes.fails_on_expired


def test_a_frame_has_nothing_but_its_cursor_until_told_otherwise() -> None:
    frame = Frame(FrameKind.CHECKPOINT, "c")
    assert (frame.dropped, frame.body, frame.events, frame.gap, frame.wire) == (
        0,
        b"",
        0,
        None,
        b"",
    )
