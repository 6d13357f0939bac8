"""Batches are bounded, stop at gaps, and are shared."""

from __future__ import annotations

from interlaced.core.batch import BatchMemo, gather
from interlaced.core.cursor import Place
from interlaced.core.filter import Filter, Match
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ring import Entry, Item, Missing, Ring


def entry(data: bytes, kind: str = "a") -> Entry:
    return Entry(data, 1, data, kind, "", "", "")


GAP = Missing(Gap(GapWhy.RECONNECTED), Place(1))


def test_a_batch_ends_at_its_bytes_but_holds_one_event_at_least() -> None:
    items: list[Item] = [entry(b"xxxx"), entry(b"yyyy"), entry(b"zzzz")]
    assert gather(items, Filter(), 8).bodies == [b"xxxx", b"yyyy"]
    assert gather(items, Filter(), 1).bodies == [b"xxxx"]


def test_a_gap_comes_alone_and_in_its_place() -> None:
    items: list[Item] = [entry(b"x"), GAP, entry(b"y")]
    first = gather(items, Filter(), 100)
    assert (first.bodies, first.gap, first.used) == ([b"x"], None, 1)
    second = gather(items[1:], Filter(), 100)
    assert (second.gap, second.used) == (GAP, 1)


def test_what_is_not_wanted_is_used_up() -> None:
    items: list[Item] = [entry(b"x", "b"), entry(b"y"), entry(b"z", "b")]
    taken = gather(items, Filter(type=Match("a")), 100)
    assert (taken.bodies, taken.used) == ([b"y"], 3)


def test_equal_positions_and_filters_share_a_frame_and_others_do_not() -> None:
    ring = Ring(1, max_events=10, max_bytes=10**6)
    memo = BatchMemo(100)
    for data in (b"x", b"y"):
        ring.append(entry(data))
    frame = memo.take(ring, 0, Filter())[1]
    assert memo.take(ring, 0, Filter())[1] is frame
    assert memo.take(ring, 0, Filter(type=Match("a")))[1] is not frame
    assert memo.take(ring, 0, Filter())[1] is frame, "a filter does not push another out"
    assert memo.take(ring, 1, Filter())[1].body == b"y"
    ring.append(entry(b"z"))
    assert memo.take(ring, 0, Filter())[1].body == b"xyz"


def test_the_memo_keeps_few_frames_alive() -> None:
    """L7: shared frames are bounded."""
    ring = Ring(1, max_events=10, max_bytes=10**6)
    ring.append(entry(b"x"))
    memo = BatchMemo(100)
    for number in range(100):
        memo.take(ring, 0, Filter(type=Match(str(number))))
    assert len(memo._entries) <= 4
    memo.clear()
    assert not memo._entries
