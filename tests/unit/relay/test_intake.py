"""Workers share one upstream connection, and take it over from each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feed_rig import ScriptedFeed, after
from relay_rig import hear, settled, stop, until, workers

from interlaced.core.frame import Wishes
from interlaced.core.model import GapWhy
from interlaced.core.ports import Start, StartKind
from interlaced.core.ring import Item


async def test_the_whole_group_has_one_upstream_connection_and_encodes_once(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 3) as rigs:
        listeners = [await hear(rig) for rig in rigs]
        feed.publish(*range(5))
        await settled(*listeners, got=list(range(5)))
        assert feed.most_readers == 1
        assert [len(rig.encoded) for rig in rigs] == [5, 0, 0]
        assert len({listener.cursor for listener in listeners}) == 1


async def test_nobody_listens_and_nothing_is_connected(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2, retain=0.0) as (one, two):
        first, second = await hear(one), await hear(two)
        assert len(feed.readers) == 1
        await first.kill()
        await second.kill()
        await until(lambda: not feed.readers)


async def test_a_leader_without_subscribers_goes_on_for_its_followers(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2, retain=0.0) as (one, two):
        first, second = await hear(one), await hear(two)
        await first.kill()
        feed.publish(1, 2)
        await settled(second, got=[1, 2])
        assert second.gaps == []
        assert len(feed.opened) == 1


async def test_a_takeover_starts_with_a_gap_where_the_source_cannot_replay(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 3) as (one, two, three):
        await hear(one)
        second, third = await hear(two), await hear(three)
        feed.publish(1, 2)
        await settled(second, third, got=[1, 2])
        await stop(one)
        await until(lambda: len(feed.readers) == 1)
        await until(lambda: second.gaps == third.gaps == [GapWhy.RECONNECTED])
        feed.publish(3, 4)
        await settled(second, third, got=[1, 2, 3, 4])
        assert feed.most_readers == 1
        assert second.cursor == third.cursor


async def test_a_takeover_loses_and_repeats_nothing_where_the_source_replays(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed(replays=True)
    async with workers(tmp_path, feed, 3) as (one, two, three):
        await hear(one)
        second, third = await hear(two), await hear(three)
        feed.publish(1, 2)
        await settled(second, third, got=[1, 2])
        await stop(one)
        feed.publish(3, 4)
        await settled(second, third, got=[1, 2, 3, 4])
        feed.publish(5)
        await settled(second, third, got=[1, 2, 3, 4, 5])
        assert second.gaps == third.gaps == []
        assert feed.most_readers == 1
        assert feed.opened[-1].kind is StartKind.AFTER


async def test_a_cursor_of_one_worker_resumes_on_another(tmp_path: Path) -> None:
    for replays in (False, True):
        feed = ScriptedFeed(replays=replays)
        folder = tmp_path / str(replays)
        folder.mkdir()
        async with workers(folder, feed, 2) as (one, two):
            first = await hear(one)
            feed.publish(1, 2)
            await settled(first, got=[1, 2])
            cursor = first.cursor
            feed.publish(3)
            await settled(first, got=[1, 2, 3])
            second = await hear(two, after(cursor))
            feed.publish(4)
            await settled(second, got=[3, 4])
            assert second.gaps == []


async def test_a_cursor_from_before_a_takeover_resumes_with_what_is_kept(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        feed.publish(1)
        await settled(first, second, got=[1])
        cursor = first.cursor
        feed.publish(2)
        await settled(second, got=[1, 2])
        await stop(one)
        await until(lambda: second.gaps == [GapWhy.RECONNECTED])
        feed.publish(3)
        again = await hear(two, after(cursor))
        await settled(again, got=[2, 3])
        assert again.gaps == [GapWhy.RECONNECTED]


async def test_the_oldest_is_the_same_on_every_worker(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2) as (one, two):
        first = await hear(one)
        feed.publish(1, 2)
        await settled(first, got=[1, 2])
        second = await hear(two, Wishes(start=Start(StartKind.OLDEST)))
        await settled(second, got=[1, 2])
        assert second.gaps == []


async def test_the_end_of_a_feed_reaches_every_worker(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        feed.publish(1)
        feed.finish()
        await until(lambda: first.is_over and second.is_over)
        assert second.got == [1]


async def test_a_new_history_is_told_on_every_worker(tmp_path: Path) -> None:
    feed = ScriptedFeed(replays=True)
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        feed.publish(1)
        await settled(first, second, got=[1])
        feed.rebuild(8)
        feed.publish(2)
        await settled(first, second, got=[1, 2])
        assert first.gaps == second.gaps == [GapWhy.NEW_HISTORY]
        assert first.cursor == second.cursor


async def test_a_worker_whose_place_its_leader_does_not_know_reads_on_by_itself(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed(replays=True)
    async with workers(tmp_path, feed, 3) as (one, two, three):
        await hear(one)
        second = await hear(two)
        feed.publish(1, 2)
        await settled(second, got=[1, 2])
        # the third leads from now on, with a ring that holds nothing, and the second follows
        pump = two.hub.find("up.Ticks")._pump
        assert pump is not None
        await pump.stop()
        await stop(one)
        third = await hear(three)
        feed.publish(3, 4)
        await settled(third, got=[3, 4])
        three.hub.find("up.Ticks").ring.trim(1)
        pump.run()
        await settled(second, got=[1, 2, 3, 4])
        feed.publish(5)
        await settled(second, got=[1, 2, 3, 4, 5])
        await settled(third, got=[3, 4, 5])
        assert second.gaps == []
        await until(lambda: len(feed.readers) == 1)


async def test_a_changed_configuration_reconnects_once_and_says_so(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        feed.publish(1)
        await settled(first, second, got=[1])
        for rig in (one, two):
            await rig.hub.swap({"up.Ticks": rig.binding(digest="2")})
        await until(lambda: bool(first.gaps and second.gaps) and len(feed.readers) == 1)
        feed.publish(2)
        await settled(first, second, got=[1, 2])
        assert (len(first.gaps), len(second.gaps), len(feed.readers)) == (1, 1, 1)


async def test_a_bug_of_a_connector_stops_no_feed_for_good(tmp_path: Path) -> None:
    feed = ScriptedFeed(replays=True)
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        feed.publish(1)
        await settled(first, second, got=[1])
        shared = two.hub.find("up.Ticks")
        adopt, broken = shared.adopt, [ValueError("a bug")]

        async def fails_once(items: Sequence[Item]) -> None:
            if broken:
                raise broken.pop()
            await adopt(items)

        shared.adopt = fails_once  # type: ignore[method-assign]  # the test's own bug
        feed.publish(2)
        await settled(first, second, got=[1, 2])
        assert not broken, "the bug has struck"


async def test_a_worker_that_leads_no_more_says_that_it_is_not_connected(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2, retain=0.0) as (one, two):
        first = await hear(one)
        await first.kill()
        await until(lambda: not feed.readers)
        second = await hear(two)
        feed.publish(1)
        await settled(second, got=[1])
        told = [rig.observer.feeds["up", "Ticks"] for rig in (one, two)]
        assert [each.connections for each in told] == [1, 1]
        assert told[0].disconnections == [(None, 0.0)]
        assert told[1].disconnections == []
