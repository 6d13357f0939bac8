"""Each overflow policy, without and with a filter: got plus dropped is everything."""

from __future__ import annotations

import pytest
from feed_rig import FeedRig, Listener, ScriptedFeed, after, listen, make_rig

from interlaced.core.filter import Filter, Match
from interlaced.core.frame import FrameKind, Overflow, OverflowPolicy, Wishes
from interlaced.core.model import Gap, GapWhy
from interlaced.core.overflow import RULES, Backlog, Full
from interlaced.core.ports import Start, StartKind
from interlaced.core.ring import Entry, Ring
from interlaced.testing.clock import VirtualClock


def wishes(policy: OverflowPolicy, buffer: int = 3, timeout: float | None = None) -> Wishes:
    return Wishes(overflow=Overflow(policy, buffer, timeout))


async def stalled(
    clock: VirtualClock, asked: Wishes, **changes: object
) -> tuple[FeedRig, Listener]:
    """A subscriber that took its first frame and is stuck in writing the second, with event 0."""
    rig, one = await listen(clock, wishes=asked, **changes)
    one.stall()
    rig.feed.publish(0)
    await rig.settle_down()
    return rig, one


def test_every_policy_has_a_rule() -> None:
    assert set(RULES) == set(OverflowPolicy)


@pytest.mark.parametrize(
    ("policy", "got", "dropped"),
    [
        (OverflowPolicy.DROP_OLDEST, [0, 7, 8, 9], 6),
        (OverflowPolicy.DROP_NEWEST, [0, 1, 2, 3], 6),
        (OverflowPolicy.CONFLATE, [0, 9], 8),
    ],
)
def test_droppers_stay_and_are_told_how_many(
    policy: OverflowPolicy, got: list[int], dropped: int
) -> None:
    """F24: the count stands in the next frame, and its cursor behind what was dropped."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(policy))
        for number in range(1, 10):
            rig.feed.publish(number, key="k")
            await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        assert (one.got, one.dropped) == (got, dropped)
        assert sum(n for _, n in rig.observer.feed("up", "Ticks").drops) == dropped
        rig.feed.publish(10)
        await rig.settle_down()
        assert one.got == [*got, 10]
        two = Listener(rig, after(await one.kill()))
        await rig.settle_down()
        assert two.got == [], "nothing that was dropped comes again"
        await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_conflate_keeps_the_last_of_each_key_in_order_and_no_more_keys_than_fit() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(OverflowPolicy.CONFLATE))
        for number in range(1, 21):
            rig.feed.publish(number, key=f"k{number % 2}")
            await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        assert one.got == [0, 19, 20]
        one.stall()
        rig.feed.publish(21)
        await rig.settle_down()
        rig.feed.publish(*range(22, 32))
        for number in range(32, 40):
            rig.feed.publish(number, key=f"n{number}")
            await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        assert one.got[-3:] == [37, 38, 39]
        assert len(one.got) + one.dropped == 40
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_block_disconnects_at_its_timeout_with_a_cursor_that_resumes() -> None:
    """P3: the stalled one is ended with SLOW_CONSUMER and a cursor."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(OverflowPolicy.BLOCK, timeout=5.0))
        other = Listener(rig)
        rig.feed.publish(*range(1, 10))
        await clock.sleep(4)
        assert one.failure is None
        await clock.sleep(2)
        assert one.failure is not None
        assert one.failure.reason.value == "SLOW_CONSUMER"
        await rig.settle_down()
        two = Listener(rig, after(one.failure.context["cursor"]))
        await rig.settle_down()
        assert two.got == list(range(1, 10)), "event 0 was on its way when the write was cut off"
        assert other.failure is None
        for each in (two, other):
            await each.kill()
        await rig.hub.close()

    clock.run(main())


def test_block_is_forgiven_once_it_has_caught_up() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(OverflowPolicy.BLOCK, timeout=5.0))
        rig.feed.publish(*range(1, 10))
        await clock.sleep(4)
        one.go_on()
        await rig.settle_down()
        one.stall()
        rig.feed.publish(10)
        await clock.sleep(4)
        assert one.failure is None, "the time counts only while the buffer is full"
        one.go_on()
        await rig.settle_down()
        assert one.got == list(range(11))
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_block_ends_where_the_ring_ends() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(OverflowPolicy.BLOCK, 100), ring_events=8)
        for number in range(1, 20):
            rig.feed.publish(number)
            await rig.settle_down()
        assert one.failure is not None
        assert one.failure.reason.value == "SLOW_CONSUMER"
        two = Listener(rig, after(one.failure.context["cursor"]))
        await rig.settle_down()
        assert two.gaps == [GapWhy.EXPIRED], "what the ring no longer has is told"
        assert two.got == list(range(12, 20))
        await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_disconnect_ends_at_once_when_the_buffer_is_full() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(OverflowPolicy.DISCONNECT))
        rig.feed.publish(1, 2, 3)
        await rig.settle_down()
        assert one.failure is None
        rig.feed.publish(4)
        await rig.settle_down()
        assert one.failure is not None
        assert one.failure.reason.value == "SLOW_CONSUMER"
        await rig.hub.close()

    clock.run(main())


@pytest.mark.parametrize("policy", list(OverflowPolicy))
def test_a_subscriber_that_reads_is_never_slow_however_fast_events_come(
    policy: OverflowPolicy,
) -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(
            clock, ScriptedFeed(batch=2), ring_events=40, wishes=wishes(policy, buffer=20)
        )
        for start in range(0, 500, 10):
            rig.feed.publish(*range(start, start + 10))
            await rig.settle_down(40)
        assert (one.got, one.dropped, one.failure) == (list(range(500)), 0, None)
        await one.kill()
        await rig.hub.close()

    clock.run(main())


@pytest.mark.parametrize("policy", [OverflowPolicy.DROP_OLDEST, OverflowPolicy.DROP_NEWEST])
def test_only_wanted_events_wait_and_are_counted(policy: OverflowPolicy) -> None:
    clock = VirtualClock()

    async def main() -> None:
        asked = Wishes(filter=Filter(type=Match("a")), overflow=Overflow(policy, 3))
        rig, one = await listen(clock, wishes=asked)
        one.stall()
        rig.feed.publish(0, type="a")
        await rig.settle_down()
        for number in range(1, 30):
            rig.feed.publish(number, type="a" if number % 5 == 0 else "b")
            await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        kept = [15, 20, 25] if policy is OverflowPolicy.DROP_OLDEST else [5, 10, 15]
        assert (one.got, one.dropped) == ([0, *kept], 2)
        await one.kill()
        await rig.hub.close()

    clock.run(main())


@pytest.mark.parametrize(
    "policy", [OverflowPolicy.DROP_OLDEST, OverflowPolicy.DROP_NEWEST, OverflowPolicy.CONFLATE]
)
def test_a_gap_among_dropped_events_is_still_told(policy: OverflowPolicy) -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(policy))
        rig.feed.publish(1)
        rig.feed.tell_gap(Gap(GapWhy.UPSTREAM_SEQUENCE, "5", "9"))
        for number in range(2, 12):
            rig.feed.publish(number)
            await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        assert one.gaps == [GapWhy.UPSTREAM_SEQUENCE]
        assert len(one.got) + one.dropped == 12
        kinds = [frame.kind for frame in one.frames]
        assert kinds.index(FrameKind.GAP) < len(kinds) - 1
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_what_a_rule_keeps_is_bounded_in_bytes() -> None:
    """L7: one frame's worth, however many events may wait."""
    ring = Ring(1, max_events=1000, max_bytes=10**9)
    backlog = Backlog(ring, Filter(), buffer=1000, frame_bytes=5000)
    for number in range(100):
        ring.append(Entry(b"x" * 1000, 1, bytes([number]), "", "", "", str(number)))
    for policy in (OverflowPolicy.DROP_NEWEST, OverflowPolicy.CONFLATE):
        backlog.seat(0)
        backlog.kept.clear()
        backlog.kept_bytes = backlog.dropped = 0
        assert RULES[policy](backlog, 0) is Full.RELIEVED
        assert (len(backlog.kept), backlog.kept_bytes, backlog.dropped) == (5, 5000, 95)


@pytest.mark.parametrize("policy", list(OverflowPolicy))
@pytest.mark.parametrize("large", [False, True])
def test_who_begins_at_the_end_of_a_busy_ring_is_not_slow(
    policy: OverflowPolicy, large: bool
) -> None:
    """The ring moves on while the first frame is written: the second holds what it had there, and
    what no frame could hold is told."""
    clock = VirtualClock()

    async def main() -> None:
        frame, batch = (30, 10) if large else (10_000, 2)
        rig = await make_rig(clock, ScriptedFeed(batch=batch), ring_events=40, s_frame_bytes=frame)
        live = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(*range(60))
        await rig.settle_down(200)
        oldest = Wishes(start=Start(StartKind.OLDEST), overflow=Overflow(policy, 30))
        one = Listener(rig, oldest)
        one.stall()
        await rig.settle_down(3)
        rig.feed.publish(*range(60, 70))
        await rig.settle_down(40)
        one.go_on()
        await rig.settle_down(40)
        assert one.failure is None
        if large and policy in (OverflowPolicy.BLOCK, OverflowPolicy.DISCONNECT):
            assert one.gaps == [GapWhy.EXPIRED]
            assert one.got[-40:] == list(range(30, 70))
        if not large and policy is not OverflowPolicy.CONFLATE:
            missing = set(range(20, 70)) - set(one.got)
            assert one.got == sorted(one.got)
            assert len(missing) == one.dropped
            assert not missing or policy is OverflowPolicy.DROP_NEWEST
        for each in (one, live):
            await each.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_peer_that_never_reads_its_first_frame_is_slow_all_the_same() -> None:
    """F24: being new is forgiven once."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(batch=2), ring_events=40)
        live = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(*range(60))
        await rig.settle_down(200)
        one = Listener(rig, Wishes(start=Start(StartKind.OLDEST)))
        one.stall()
        await rig.settle_down(3)
        rig.feed.publish(*range(60, 160))
        await rig.settle_down(200)
        assert one.failure is not None
        assert one.failure.reason.value == "SLOW_CONSUMER"
        await live.kill()
        await rig.hub.close()

    clock.run(main())


@pytest.mark.parametrize("count", [2, 16, 17, 100])
def test_gaps_among_dropped_events_are_all_told_or_stand_for_anything(count: int) -> None:
    """L5, L7: nothing is skipped untold, and what waits to be told is bounded."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await stalled(clock, wishes(OverflowPolicy.CONFLATE))
        gaps = [Gap(GapWhy.UPSTREAM_SEQUENCE, f"A-{n}", f"A-{n + 2}") for n in range(count)]
        for gap in gaps:
            rig.feed.tell_gap(Gap(GapWhy.RECONNECTED))
            rig.feed.tell_gap(gap)
            for number in range(6):
                rig.feed.publish(number, key="k")
                await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        told = [frame.gap for frame in one.frames if frame.gap is not None]
        assert told.count(Gap(GapWhy.RECONNECTED)) == 1
        told.remove(Gap(GapWhy.RECONNECTED))
        assert len(told) <= 16
        assert told == gaps or Gap(GapWhy.UPSTREAM_SEQUENCE) in told
        await one.kill()
        await rig.hub.close()

    clock.run(main())
