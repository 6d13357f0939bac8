"""A reader of one's own joins the ring without a gap or a repeat, and reads one ahead at most."""

from __future__ import annotations

import pytest
from feed_rig import Listener, ScriptedFeed, ScriptedReader, after, make_rig, numbers

from interlaced.core.cursor import Origin, Place
from interlaced.core.failure import Failure, Reason
from interlaced.core.frame import FrameKind, Overflow, Wishes
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ports import Start, StartKind
from interlaced.core.replay import start_after
from interlaced.testing.clock import VirtualClock

OLDEST = Wishes(start=Start(StartKind.OLDEST))


def test_every_place_has_its_start() -> None:
    assert start_after(Place(1, b"x")) == Start(StartKind.AFTER, b"x")
    assert start_after(Place(1)) == Start(StartKind.OLDEST)
    assert start_after(Place(0, origin=Origin.OLDEST)) == Start(StartKind.OLDEST)
    assert start_after(Place(0, origin=Origin.TIME, time=5.0)) == Start(StartKind.TIME, time=5.0)


def test_the_oldest_is_read_from_the_source_and_then_the_ring_is_joined() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True, batch=10))
        rig.feed.publish(*range(95))
        live = Listener(rig)
        await rig.settle_down()
        old = Listener(rig, OLDEST)
        await rig.settle_down(60)
        assert old.got == list(range(95))
        assert len(rig.feed.readers) == 2
        for number in range(95, 110):
            rig.feed.publish(number)
            await rig.settle_down()
        assert (old.got, live.got) == (list(range(110)), list(range(95, 110)))
        assert len(rig.feed.readers) == 1, "its own reader is closed once it has joined"
        for one in (old, live):
            await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_cursor_that_the_ring_has_forgotten_is_replayed_by_the_source() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True), ring_events=5)
        live = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(0)
        await rig.settle_down()
        cursor = live.cursor
        for number in range(1, 50):
            rig.feed.publish(number)
            await rig.settle_down()
        two = Listener(rig, after(cursor))
        await rig.settle_down(60)
        assert (two.got, two.gaps) == (list(range(1, 50)), [])
        assert len(rig.feed.readers) == 1
        for one in (two, live):
            await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_replay_survives_lost_connections_without_a_gap_or_a_repeat() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True, batch=3))
        rig.feed.publish(*range(30))
        one = Listener(rig, OLDEST)
        for _ in range(10):
            await rig.settle_down(7)
            rig.feed.drop_connections()
            await clock.sleep(2)
        await clock.sleep(60)
        assert (one.got, one.gaps) == (list(range(30)), [])
        await one.kill()
        await rig.hub.close()
        assert not rig.feed.readers

    clock.run(main())


def test_a_stalled_replay_reads_one_batch_ahead_and_is_ended() -> None:
    """L7: its memory is bounded by one read."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True, batch=3))
        rig.feed.publish(*range(300))
        one = Listener(rig, Wishes(start=Start(StartKind.OLDEST), overflow=Overflow(timeout=5.0)))
        await rig.settle_down(4)
        one.stall()
        await rig.settle_down(100)
        assert len(rig.encoded) <= len(one.got) + 9
        await clock.sleep(6)
        assert one.failure is not None
        assert one.failure.reason is Reason.SLOW_CONSUMER
        await rig.settle_down()
        two = Listener(rig, after(one.failure.context["cursor"]))
        await clock.sleep(5)
        # the batch that was being written when the stream ended reaches a real client as well
        assert two.got == list(range(len(one.got) + 3, 300))
        await two.kill()
        await rig.hub.close()

    clock.run(main())


@pytest.mark.parametrize("how", ["expired", "rebuilt"])
@pytest.mark.parametrize("fails", [True, False])
def test_a_place_that_is_gone_is_a_gap_or_a_failure(how: str, fails: bool) -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True), retain=1.0)
        live = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(*range(10))
        await rig.settle_down()
        cursor = await live.kill()
        await clock.sleep(5)
        rig.feed.publish(*range(10, 20))
        if how == "expired":
            rig.feed.expire(15)
        else:
            rig.feed.rebuild(99)
            rig.feed.publish(*range(15, 20))
        two = Listener(rig, after(cursor, fails_on_expired=fails))
        await clock.sleep(5)
        if fails:
            assert two.failure is not None
            assert two.failure.reason is Reason.CURSOR_EXPIRED
            assert two.failure.context["oldest"]
            two = Listener(rig, after(two.failure.context["oldest"], fails_on_expired=True))
            await clock.sleep(5)
        else:
            why = GapWhy.EXPIRED if how == "expired" else GapWhy.NEW_HISTORY
            assert two.gaps == [why]
        assert two.got == list(range(15, 20))
        await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_place_that_is_gone_from_a_ring_without_replay_is_told_with_the_oldest() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ring_events=5)
        live = Listener(rig)
        await rig.settle_down()
        cursor = live.cursor
        for number in range(20):
            rig.feed.publish(number)
            await rig.settle_down()
        with pytest.raises(Failure) as expired:
            rig.hub.find("up.Ticks").subscribe(after(cursor, fails_on_expired=True))
        assert expired.value.reason is Reason.CURSOR_EXPIRED
        two = Listener(rig, after(expired.value.context["oldest"]))
        three = Listener(rig, after(cursor))
        await rig.settle_down()
        assert (two.got, two.gaps) == ([15, 16, 17, 18, 19], [])
        assert (three.got, three.gaps) == ([15, 16, 17, 18, 19], [GapWhy.EXPIRED])
        for one in (live, two, three):
            await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_client_that_died_before_its_first_event_still_starts_where_it_asked_to() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True))
        rig.feed.publish(*range(5))
        for start in (Start(StartKind.OLDEST), Start(StartKind.TIME, time=1.0)):
            one = Listener(rig, Wishes(start=start))
            while not one.frames:
                await rig.settle_down(1)
            cursor = one.frames[0].cursor
            await one.kill()
            two = Listener(rig, after(cursor))
            await rig.settle_down(60)
            assert (two.got, two.gaps) == (list(range(5)), [])
            await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_replay_goes_on_at_the_connector_that_a_reload_has_built() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True, batch=3))
        rig.feed.publish(*range(30))
        one = Listener(rig, OLDEST)
        await rig.settle_down(8)
        assert 0 < len(one.got) < 30
        newer = ScriptedFeed(replays=True)
        newer.publish(*range(30))
        await rig.hub.swap({"up.Ticks": rig.binding(feed=newer)})
        rig.feed.refusals = 10**9
        rig.feed.drop_connections()
        await clock.sleep(10)
        assert (one.got, one.gaps) == (list(range(30)), [])
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_reload_of_its_own_section_sends_a_replaying_subscriber_to_the_new_one() -> None:
    """Its reader may never notice: an embedded topic outlives the section that named it."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True, batch=3))
        rig.feed.publish(*range(6))
        one = Listener(rig, OLDEST)
        await clock.sleep(1)
        assert one.subscription.is_replaying
        newer = ScriptedFeed(replays=True, epoch=9)
        newer.publish(100)
        await rig.hub.swap({"up.Ticks": rig.binding(digest="2", feed=newer)})
        await rig.settle_down()
        assert one.frames[-1].kind is FrameKind.GOING_AWAY
        two = Listener(rig, after(one.cursor))
        await clock.sleep(5)
        assert (two.got, two.gaps) == ([100], [GapWhy.NEW_HISTORY])
        await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_replay_whose_connector_breaks_ends_its_subscriber() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True))
        rig.feed.publish(1)
        opened = rig.feed.open

        async def broken(start: Start) -> ScriptedReader:
            if start.kind is StartKind.OLDEST:
                raise RuntimeError("a bug")
            return await opened(start)

        rig.feed.open = broken  # type: ignore[method-assign]  # the connector's bug
        one = Listener(rig, OLDEST)
        await rig.settle_down()
        assert one.failure is not None
        assert one.failure.reason is Reason.INTERNAL_ERROR
        assert isinstance(one.failure.__cause__, RuntimeError)
        assert "bug" not in one.failure.message
        await rig.hub.close()

    clock.run(main())


def test_a_replay_without_patience_still_lets_a_peer_read() -> None:
    """BLOCK with no timeout is about what waits; a write that takes a moment is not slow."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True, batch=3))
        rig.feed.publish(*range(30))
        asked = Wishes(start=Start(StartKind.OLDEST), overflow=Overflow(timeout=0.0))
        got: list[int] = []
        async with rig.hub.find("up.Ticks").subscribe(asked) as subscription:
            while len(got) < 30:
                frame = await subscription.next()
                with subscription.writing:
                    await clock.sleep(0.1)
                got += numbers(frame) if frame is not None and frame.events else []
        assert got == list(range(30))
        await rig.hub.close()

    clock.run(main())


def test_a_rebuilt_history_that_the_source_tells_fails_who_asked_to() -> None:
    """F18: a source that is behind the cursor says so at its first read."""
    clock = VirtualClock()

    async def main(fails: bool) -> Listener:
        rig = await make_rig(clock, ScriptedFeed(replays=True), retain=1.0)
        live = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(*range(3))
        await rig.settle_down()
        cursor = await live.kill()
        await clock.sleep(5)
        rig.feed.log[:] = []
        rig.feed.first = 3
        rig.feed.tell_gap(Gap(GapWhy.NEW_HISTORY))
        one = Listener(rig, after(cursor, fails_on_expired=fails))
        await clock.sleep(5)
        await one.kill()
        await rig.hub.close()
        return one

    failed = clock.run(main(True)).failure
    assert failed is not None
    assert failed.reason is Reason.CURSOR_EXPIRED
    assert clock.run(main(False)).gaps == [GapWhy.NEW_HISTORY]
