"""One connection, one ring, many subscribers."""

from __future__ import annotations

import asyncio

from feed_rig import Listener, ScriptedFeed, after, listen, make_rig

from interlaced.core.frame import FrameKind
from interlaced.core.model import GapWhy
from interlaced.testing.clock import VirtualClock


def test_300_subscribers_share_exactly_one_upstream_connection() -> None:
    """P22 within one process."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        listeners = [Listener(rig) for _ in range(300)]
        await rig.settle_down()
        rig.feed.publish(*range(50))
        await rig.settle_down()
        assert all(one.got == list(range(50)) for one in listeners)
        assert rig.feed.most_readers == 1
        assert len(rig.encoded) == 50, "each event is encoded once, whoever listens"
        assert rig.feed.settled == 50
        wires = {id(one.frames[-1]) for one in listeners}
        assert len(wires) == 1, "subscribers at one position share the frame"
        for one in listeners:
            await one.kill()
        await rig.hub.close()
        assert not rig.feed.readers

    clock.run(main())


def test_a_reconnect_within_the_linger_finds_its_place() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, retain=60.0)
        first = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(1, 2)
        await rig.settle_down()
        cursor = await first.kill()
        await clock.sleep(50)
        rig.feed.publish(3)
        second = Listener(rig, after(cursor))
        await rig.settle_down()
        rig.feed.publish(4)
        await rig.settle_down()
        assert (second.got, second.gaps) == ([3, 4], [])
        assert rig.feed.most_readers == 1
        assert len(rig.feed.opened) == 1
        await second.kill()
        await clock.sleep(61)
        assert not rig.feed.readers, "the linger is over"
        third = Listener(rig, after(second.cursor))
        await rig.settle_down()
        assert third.gaps == [GapWhy.NEW_HISTORY]
        await third.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_lost_connection_is_a_gap_unless_the_source_replays() -> None:
    clock = VirtualClock()

    async def main(replays: bool) -> tuple[list[int], list[GapWhy]]:
        rig, one = await listen(clock, ScriptedFeed(replays=replays))
        rig.feed.publish(1)
        await rig.settle_down()
        rig.feed.drop_connections()
        rig.feed.refusals = 3
        await rig.settle_down()
        rig.feed.publish(2)
        await clock.sleep(10)
        rig.feed.publish(3)
        await rig.settle_down()
        await one.kill()
        await rig.hub.close()
        return one.got, one.gaps

    assert clock.run(main(True)) == ([1, 2, 3], [])
    assert clock.run(main(False)) == ([1, 3], [GapWhy.RECONNECTED])


def test_a_rebuilt_history_is_told_and_read_from_its_beginning() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, ScriptedFeed(replays=True))
        rig.feed.publish(1)
        await rig.settle_down()
        old = one.cursor
        rig.feed.rebuild(8)
        rig.feed.publish(10, 11)
        await clock.sleep(5)
        assert (one.got, one.gaps) == ([1, 10, 11], [GapWhy.NEW_HISTORY])
        two = Listener(rig, after(old))
        await clock.sleep(5)
        assert (two.got, two.gaps) == ([10, 11], [GapWhy.NEW_HISTORY])
        for each in (one, two):
            await each.kill()
        await rig.hub.close()

    clock.run(main())


def test_the_first_frame_is_a_checkpoint_and_so_is_the_heartbeat() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        assert [frame.kind for frame in one.frames] == [FrameKind.CHECKPOINT]
        await clock.sleep(31)
        assert [frame.kind for frame in one.frames] == [FrameKind.CHECKPOINT] * 3
        assert all(frame.cursor for frame in one.frames)
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_an_ended_feed_ends_its_subscribers_once_they_have_read_everything() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        rig.feed.publish(1, 2, 3)
        rig.feed.finish()
        await rig.settle_down()
        assert one.is_over
        assert one.got == [1, 2, 3]
        await rig.hub.close()

    clock.run(main())


def test_progress_is_red_only_once_the_connection_is_away_for_a_while() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        state = rig.hub.states()["up.Ticks"]
        assert (state.state, state.is_progressing) == ("idle", True)
        one = Listener(rig)
        await rig.settle_down()
        assert rig.hub.states()["up.Ticks"].state == "live"
        rig.feed.refusals = 1_000_000
        rig.feed.drop_connections()
        await clock.sleep(5)
        state = rig.hub.states()["up.Ticks"]
        assert (state.state, state.is_progressing) == ("connecting", True)
        await clock.sleep(10)
        assert not rig.hub.states()["up.Ticks"].is_progressing
        rig.feed.refusals = 0
        await clock.sleep(40)
        assert rig.hub.states()["up.Ticks"].is_progressing
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_nothing_is_alive_after_close() -> None:
    """L8: tasks return to the baseline."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, ScriptedFeed(replays=True))
        before = asyncio.all_tasks()
        listeners = [Listener(rig) for _ in range(20)]
        await rig.settle_down()
        for one in listeners[:10]:
            await one.kill()
        await rig.hub.close()
        await rig.settle_down()
        assert asyncio.all_tasks() == before
        assert all(one.failure is not None for one in listeners[10:])

    clock.run(main())


def test_a_cursor_behind_an_event_that_was_too_large_repeats_nothing() -> None:
    """P8: the gap has a place of its own, and resuming is exclusively after it."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, s_max_event=30)
        rig.feed.publish(1, 10**40)
        await rig.settle_down()
        assert (one.got, one.gaps) == ([1], [GapWhy.UPSTREAM_SEQUENCE])
        cursor = await one.kill()
        rig.feed.publish(3)
        two = Listener(rig, after(cursor, fails_on_expired=True))
        await rig.settle_down()
        assert (two.got, two.gaps, two.failure) == ([3], [], None)
        await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_connection_that_never_lasts_fills_nothing() -> None:
    """L7: every reconnect is told, and the ring of gaps is bounded as that of events is."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, ring_events=10)
        for _ in range(50):
            rig.feed.drop_connections()
            await clock.sleep(40)
        ring = rig.hub.find("up.Ticks").ring
        assert one.gaps == [GapWhy.RECONNECTED] * 50
        assert ring.end - ring.first <= 10
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_reload_survives_a_linger_that_ends_meanwhile() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock, retain=1.0)
        (reader,) = rig.feed.readers
        reader.close = lambda: clock.sleep(5)  # type: ignore[method-assign]  # a slow goodbye
        await one.kill()
        await clock.sleep(0.5)
        await rig.hub.swap({"up.Ticks": rig.binding(digest="2")})
        two = Listener(rig)
        await rig.settle_down()
        rig.feed.publish(1)
        await rig.settle_down()
        assert two.got == [1]
        await two.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_connection_that_nobody_needs_any_more_is_told_as_closed_once() -> None:
    """The metric and the log would otherwise show a connection that is long gone."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, retain=10.0)
        told = rig.observer.feed("up", "Ticks")
        one = Listener(rig)
        await rig.settle_down()
        assert (told.connections, told.disconnections) == (1, [])
        await one.kill()
        await clock.sleep(11)
        assert told.disconnections == [(None, 0.0)]
        await rig.hub.close()
        assert told.disconnections == [(None, 0.0)]

    clock.run(main())
