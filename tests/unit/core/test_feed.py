"""The hub, and the law of feeds: what was got, dropped and told missing is what was published."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from feed_rig import FeedRig, Listener, ScriptedFeed, after, listen, make_rig
from hypothesis import given, settings
from hypothesis import strategies as st

from interlaced.core.failure import Failure, Reason
from interlaced.core.frame import FrameKind, Overflow, OverflowPolicy, Wishes
from interlaced.core.model import GapWhy
from interlaced.core.ports import Start, StartKind
from interlaced.testing.clock import VirtualClock

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 30)),
        st.tuples(st.just("stall"), st.just(0)),
        st.tuples(st.just("go_on"), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, 90)),
        st.tuples(st.just("drop"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 40)),
    ),
    max_size=40,
)


class Client:
    """A client that resumes with its cursor whenever it was killed or thrown out, and keeps the
    books of what it was told."""

    def __init__(self, rig: FeedRig, overflow: Overflow) -> None:
        self.rig = rig
        self.overflow = overflow
        self.got: list[int] = []
        self.dropped = 0
        self.gaps: list[GapWhy] = []
        self.cursor = ""
        self.current = Listener(rig, Wishes(overflow=overflow))

    async def kill(self, away: float) -> None:
        """Dies. What its last write carried counts only if it was read."""
        current = self.current
        await current.kill()
        self._add(current)
        await self.rig.clock.sleep(away)
        self._resume(current.cursor)

    def revive(self) -> None:
        """Comes back if it was thrown out, with the last cursor that it saw."""
        if self.current.failure is not None:
            assert self.current.failure.reason is Reason.SLOW_CONSUMER
            self._add(self.current)
            self._resume(self.current.cursor)

    def _add(self, listener: Listener) -> None:
        self.got += listener.got
        self.dropped += listener.dropped
        self.gaps += listener.gaps

    def _resume(self, cursor: str) -> None:
        """Comes back with the last cursor that it saw, which may be that of an earlier stream."""
        self.cursor = cursor or self.cursor
        self.current = Listener(self.rig, Wishes(cursor=self.cursor, overflow=self.overflow))

    async def finish(self) -> None:
        self.current.go_on()
        await self.rig.clock.sleep(40)
        self.revive()
        await self.rig.clock.sleep(40)
        await self.current.kill()
        self._add(self.current)


async def play(rig: FeedRig, client: Client, steps: list[tuple[str, int]]) -> int:
    published = 0
    for step, value in steps:
        client.revive()
        if step == "publish":
            rig.feed.publish(*range(published, published + value), key=f"k{value % 3}")
            published += value
        elif step == "stall":
            client.current.stall()
        elif step == "go_on":
            client.current.go_on()
        elif step == "kill":
            await client.kill(float(value))
        elif step == "drop":
            rig.feed.drop_connections()
        else:
            await rig.clock.sleep(value / 10)
        await rig.settle_down(8)
    return published


@settings(max_examples=200, deadline=None)
@given(
    steps=STEPS,
    policy=st.sampled_from(list(OverflowPolicy)),
    buffer=st.integers(1, 12),
    replays=st.booleans(),
)
def test_nothing_is_skipped_or_repeated_silently(
    steps: list[tuple[str, int]], policy: OverflowPolicy, buffer: int, replays: bool
) -> None:
    """L5, P8: for every policy, with kills, stalls and lost connections in any order."""
    clock = VirtualClock()

    async def main() -> None:
        feed = ScriptedFeed(replays=replays, batch=7)
        rig = await make_rig(clock, feed, ring_events=24, retain=30.0)
        client = Client(rig, Overflow(policy, buffer, 2.0))
        await rig.settle_down()
        published = await play(rig, client, [("publish", 1), *steps])
        await client.finish()
        await rig.hub.close()
        assert len(client.got) == len(set(client.got)), "no event twice"
        assert client.got == sorted(client.got), "in order"
        assert client.got == [] or client.got[-1] < published
        missing = published - len(client.got) - client.dropped
        if not client.gaps:
            assert missing == 0, "what is missing without a gap was counted as dropped"
        assert missing >= 0
        if replays:
            assert client.gaps == [], "a source that replays leaves no gap behind a position"

    clock.run(main())


@pytest.mark.parametrize("replays", [True, False])
def test_a_client_killed_100_times_misses_nothing_and_sees_nothing_twice(replays: bool) -> None:
    """P8: killed at random under load, resumed with its cursor each time."""
    clock = VirtualClock()

    async def main() -> None:
        chance = Random(3)
        feed = ScriptedFeed(replays=replays, batch=5)
        rig = await make_rig(clock, feed, ring_events=4000)
        client = Client(rig, Overflow())
        published = 0
        await rig.settle_down()
        for _ in range(100):
            count = chance.randrange(12)
            rig.feed.publish(*range(published, published + count))
            published += count
            await rig.settle_down(chance.randrange(12))
            await client.kill(chance.random())
        await client.finish()
        await rig.hub.close()
        assert (client.got, client.gaps) == (list(range(published)), [])

    clock.run(main())


def test_drain_tells_every_subscriber_to_reconnect_with_its_cursor() -> None:
    """F22: the stream ends with a cursor, and nothing is lost over it."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        listeners = [Listener(rig) for _ in range(50)]
        await rig.settle_down()
        rig.feed.publish(1, 2)
        await rig.settle_down()
        await rig.hub.drain(2.0)
        for one in listeners:
            last = one.frames[-1]
            assert last.kind is FrameKind.GOING_AWAY
            assert 2.0 <= last.reconnect_after <= 4.0
            assert one.failure is not None
            assert one.failure.reason is Reason.DRAINING
            assert one.failure.context["cursor"] == last.cursor
        assert len({one.frames[-1].reconnect_after for one in listeners}) > 10, "no herd"
        with pytest.raises(Failure) as refused:
            rig.hub.find("up.Ticks")
        assert refused.value.reason is Reason.DRAINING
        await rig.hub.close()

    clock.run(main())


def test_close_ends_even_a_blocked_write() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        one.stall()
        rig.feed.publish(1)
        await rig.settle_down()
        await rig.hub.close()
        await asyncio.wait([one.task])
        assert one.failure is not None
        assert one.failure.reason is Reason.DRAINING

    clock.run(main())


def test_a_reload_touches_only_feeds_whose_own_section_changed() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        rig.feed.publish(1)
        await rig.settle_down()
        await rig.hub.swap({"up.Ticks": rig.binding()})
        assert len(rig.feed.opened) == 1
        newer = ScriptedFeed()
        await rig.hub.swap({"up.Ticks": rig.binding(digest="2", feed=newer)})
        await rig.settle_down()
        assert not rig.feed.readers
        newer.publish(2)
        await rig.settle_down()
        assert (one.got, one.gaps) == ([1, 2], [GapWhy.RECONNECTED])
        replaying = ScriptedFeed(replays=True)
        await rig.hub.swap({"up.Ticks": rig.binding(digest="3", feed=replaying)})
        await rig.settle_down()
        replaying.publish(3)
        await rig.settle_down()
        assert one.got == [1, 2, 3]
        assert GapWhy.NEW_HISTORY in one.gaps
        await rig.hub.swap({})
        await rig.settle_down()
        assert one.frames[-1].kind is FrameKind.GOING_AWAY
        assert not replaying.readers
        with pytest.raises(Failure) as unknown:
            rig.hub.find("up.Ticks")
        assert unknown.value.reason is Reason.UNKNOWN_FEED
        await rig.hub.close()

    clock.run(main())


def test_a_stream_leaves_before_its_connection_is_too_old() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, s_max_age=100.0)
        started = clock.now()
        one = Listener(rig)
        await asyncio.wait([one.task])
        assert one.frames[-1].kind is FrameKind.GOING_AWAY
        assert 50 < clock.now() - started < 90
        await rig.hub.close()

    clock.run(main())


def test_a_bad_wish_is_refused_before_anything_connects() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock)
        bad = {
            "heartbeat": Wishes(heartbeat=0.5),
            "overflow.buffer": Wishes(overflow=Overflow(buffer=10**6)),
            "overflow.block.timeout": Wishes(overflow=Overflow(timeout=1e9)),
            "start.time": Wishes(start=Start(StartKind.TIME, time=1.0)),
        }
        for field, asked in bad.items():
            with pytest.raises(Failure) as refused:
                rig.hub.find("up.Ticks").subscribe(asked)
            assert refused.value.reason is Reason.INVALID_REQUEST
            assert [one.field for one in refused.value.fields] == [field]
        with pytest.raises(Failure) as forged:
            rig.hub.find("up.Ticks").subscribe(after("A" * 40))
        assert forged.value.reason is Reason.BAD_CURSOR
        await rig.settle_down()
        assert not rig.feed.opened
        await rig.hub.close()

    clock.run(main())
