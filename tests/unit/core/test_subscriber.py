"""What one subscriber is told, frame by frame."""

from __future__ import annotations

import asyncio

import pytest
from feed_rig import Listener, ScriptedFeed, after, listen, make_rig, numbers, send

from interlaced.core.filter import Filter, Match
from interlaced.core.frame import FrameKind, Overflow, OverflowPolicy, Wishes
from interlaced.core.model import GapWhy
from interlaced.core.ports import Start, StartKind
from interlaced.testing.clock import VirtualClock

ONLY_A = Filter(type=Match("a"))


def test_one_wake_up_is_one_frame_with_everything_that_waits() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        one.stall()
        rig.feed.publish(0)
        await rig.settle_down()
        for number in range(1, 50):
            rig.feed.publish(number)
            await rig.settle_down()
        one.go_on()
        await rig.settle_down()
        assert [frame.events for frame in one.frames] == [0, 1, 49]
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_frames_stay_below_the_limit_but_a_large_event_passes_alone() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, s_frame_bytes=60)
        rig.feed.publish(1, 2, 3, 10**80, 4)
        await rig.settle_down()
        assert [numbers(frame) for frame in one.frames[1:]] == [[1, 2, 3], [10**80], [4]]
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_every_frame_has_a_cursor_for_everything_up_to_its_end() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        for number in range(5):
            rig.feed.publish(number)
            await rig.settle_down()
        for at, frame in enumerate(one.frames):
            again = Listener(rig, after(frame.cursor))
            await rig.settle_down()
            assert again.got == list(range(at, 5))
            await again.kill()
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_heartbeat_moves_the_cursor_past_what_is_not_wanted() -> None:
    """P8: a filtered subscriber on a busy feed does not expire."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, ring_events=5, wishes=Wishes(filter=ONLY_A))
        for number in range(20):
            rig.feed.publish(number, type="b")
            await rig.settle_down()
        await clock.sleep(16)
        assert one.frames[-1].kind is FrameKind.CHECKPOINT
        two = Listener(rig, after(one.cursor, filter=ONLY_A))
        rig.feed.publish(99, type="a")
        await rig.settle_down()
        assert (one.got, two.got, two.gaps) == ([99], [99], [])
        for each in (one, two):
            await each.kill()
        await rig.hub.close()

    clock.run(main())


def test_from_now_waits_a_little_for_the_connection_and_then_speaks_anyway() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        rig.feed.refusals = 10**9
        started = clock.now()
        one = Listener(rig)
        await clock.sleep(1.9)
        assert one.frames == []
        await clock.sleep(0.2)
        assert [frame.kind for frame in one.frames] == [FrameKind.CHECKPOINT]
        assert clock.now() - started < 3
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_replaying_feed_resumes_before_its_first_event_only_while_the_ring_lives() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, ScriptedFeed(replays=True), retain=10.0)
        cursor = await one.kill()
        rig.feed.publish(1, 2)
        two = Listener(rig, after(cursor))
        await rig.settle_down()
        assert (two.got, two.gaps) == ([1, 2], [])
        await two.kill()
        await clock.sleep(11)
        three = Listener(rig, after(cursor))
        await rig.settle_down(60)
        assert (three.got, three.gaps) == ([1, 2], [GapWhy.EXPIRED])
        await three.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_frame_that_is_shared_and_encoded_already_keeps_its_events() -> None:
    """F24: a dropper that comes to a place where another took a frame gets the same events."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        dropper = Listener(rig, Wishes(overflow=Overflow(OverflowPolicy.DROP_OLDEST, 3)))
        live = Listener(rig)
        await rig.settle_down()
        dropper.stall()
        for number in range(7):
            rig.feed.publish(number)
            await rig.settle_down()
        behind_three = live.frames[4].cursor
        async with rig.hub.find("up.Ticks").subscribe(after(behind_three)) as other:
            await other.next()
            shared = await other.next()
            assert numbers(shared) == [4, 5, 6]
            assert shared is not None
            send(shared)
        dropper.go_on()
        await rig.settle_down()
        assert (dropper.got, dropper.dropped) == ([0, 4, 5, 6], 3)
        for one in (dropper, live):
            await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_the_first_heartbeat_is_as_punctual_as_the_others() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, wishes=Wishes(heartbeat=1.0))
        await clock.sleep(1.01)
        assert len(one.frames) == 2
        await one.kill()
        await rig.hub.close()

    clock.run(main())


@pytest.mark.parametrize("replays", [False, True])
def test_a_subscriber_may_be_cancelled_at_every_step(replays: bool) -> None:
    """P4, L8: wherever it is, its place is given up and no reader of its own stays."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=replays, batch=2))
        live = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(*range(10))
        await rig.settle_down()
        oldest = Wishes(start=Start(StartKind.OLDEST))
        tasks = asyncio.all_tasks()
        for step in range(1, 60):
            one = Listener(rig, oldest)
            if step % 3 == 1:
                rig.feed.drop_connections()
            await rig.settle_down(step)
            rig.feed.publish(10 + step)
            await one.kill()
            assert rig.hub.find("up.Ticks").subscriptions == {live.subscription}
            assert asyncio.all_tasks() == tasks
            assert len(rig.feed.readers) <= 1
            await clock.sleep(5)
        assert live.failure is None
        await live.kill()
        await rig.hub.close()

    clock.run(main())
