"""The pump reconnects with jitter, counts its tries, and survives a broken connector."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

from feed_rig import Listener, ScriptedFeed, ScriptedReader, listen, make_rig

from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Delivery, Gap, GapWhy
from interlaced.core.ports import Start
from interlaced.testing.clock import VirtualClock


def test_reconnects_back_off_with_full_jitter_up_to_the_cap() -> None:
    """F33: a host that refuses is not stormed."""
    clock = VirtualClock()

    async def main() -> None:
        rig = await make_rig(clock, reconnect=Backoff(0.25, 30.0))
        rig.feed.refusals = 10**9
        one = Listener(rig)
        started = clock.now()
        await clock.sleep(600)
        waits = [wait for _, wait in rig.observer.feed("up", "Ticks").disconnections]
        assert all(wait <= min(30.0, 0.25 * 2.0**at) for at, wait in enumerate(waits))
        assert len(set(waits)) == len(waits), "jitter"
        assert len(waits) < (clock.now() - started), "no more than one a second"
        rig.feed.refusals = 0
        await clock.sleep(31)
        rig.feed.publish(1)
        await rig.settle_down()
        assert one.got == [1]
        assert one.gaps == [GapWhy.RECONNECTED], "what came before the first connection is missing"
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_pump_does_not_log_in_the_name_of_the_first_subscriber() -> None:
    clock = VirtualClock()
    request_id = ContextVar("request_id", default="")
    seen: list[str] = []

    class Curious(ScriptedFeed):
        async def open(self, start: Start) -> ScriptedReader:
            seen.append(request_id.get())
            return await super().open(start)

    async def main() -> None:
        rig = await make_rig(clock, Curious())
        request_id.set("the first one's")
        one = Listener(rig)
        await clock.sleep(1)
        rig.feed.drop_connections()
        await clock.sleep(60)
        assert seen == ["", ""]
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_retry_after_of_the_upstream_is_obeyed() -> None:
    clock = VirtualClock()

    class Polite(ScriptedFeed):
        async def open(self, start: Start) -> ScriptedReader:
            if not self.opened:
                self.opened.append(start)
                raise Failure(Reason.UPSTREAM_UNAVAILABLE, "come back later", retry_after=25.0)
            return await super().open(start)

    async def main() -> None:
        rig = await make_rig(clock, Polite())
        one = Listener(rig)
        await clock.sleep(24)
        assert len(rig.feed.opened) == 1
        await clock.sleep(2)
        assert len(rig.feed.opened) == 2
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_a_bug_in_a_connector_does_not_stop_its_feed_for_good() -> None:
    clock = VirtualClock()

    class Broken(ScriptedReader):
        async def read(self) -> Sequence[Delivery | Gap]:
            raise KeyError("secret")

    class Buggy(ScriptedFeed):
        async def open(self, start: Start) -> ScriptedReader:
            reader = await super().open(start)
            return reader if len(self.opened) > 1 else Broken(self, 0, 0)

    async def main() -> None:
        rig = await make_rig(clock, Buggy())
        one = Listener(rig)
        await clock.sleep(5)
        rig.feed.publish(1)
        await rig.settle_down()
        assert one.got == [1]
        failure, _ = rig.observer.feed("up", "Ticks").disconnections[0]
        assert failure is not None
        assert failure.reason is Reason.INTERNAL_ERROR
        assert "secret" not in failure.message
        await one.kill()
        await rig.hub.close()

    clock.run(main())


def test_gaps_of_the_source_stand_where_they_happened() -> None:
    """P21: an upstream gap reaches subscribers as a Gap, in order."""
    clock = VirtualClock()

    async def main() -> None:
        rig, one = await listen(clock)
        rig.feed.publish(1)
        rig.feed.tell_gap(Gap(GapWhy.UPSTREAM_SEQUENCE, "2", "4"))
        rig.feed.publish(5)
        await rig.settle_down()
        assert [frame.kind.name for frame in one.frames] == ["CHECKPOINT", "BATCH", "GAP", "BATCH"]
        gap = one.frames[2].gap
        assert gap is not None
        assert (gap.first, gap.last) == ("2", "4")
        await one.kill()
        await rig.hub.close()

    clock.run(main())
