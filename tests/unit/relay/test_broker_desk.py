"""A worker's side of the group's brokers; what every source and sink must do is in
`tests/conformance`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from far_rig import FarRig, far_connector, far_tools

from interlaced.core.failure import Failure, NotConnected, Reached, Reason
from interlaced.core.model import Delivery, Effort, Publication, Settlement, Verdict
from interlaced.core.ports import Start, StartKind
from interlaced.relay.broker_host import brokers_path
from interlaced.relay.records import decode, encode
from interlaced.relay.wire import Listener, framed, read_message
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeObserver, make_tools
from interlaced.testing.source_suite import make_events


def publication(clock: VirtualClock, count: int = 1, seconds: float = 5.0) -> Publication:
    until = clock.now() + seconds
    return Publication(deadline=until, effort=Effort(0), sink="Orders", events=make_events(count))


def test_where_no_broker_is_there_nothing_is_published_and_readers_are_not_connected(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()

    async def main() -> None:
        connector = far_connector(far_tools(tmp_path, clock))
        with pytest.raises(Failure) as refused:
            await connector.sinks["Orders"].publish(publication(clock))
        assert refused.value.reached is Reached.NOT_SENT
        for opening in (
            connector.feeds["Orders"].open(Start()),
            connector.feeds["Orders"].join("g"),
        ):
            with pytest.raises(NotConnected):
                await opening
        await connector.close()

    clock.run(main())


def test_it_connects_again_after_the_broker_was_away(tmp_path: Path) -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = FarRig(tmp_path, clock)
        await rig.start()
        await rig.sink.publish(publication(clock))
        await rig.cut()
        (again,) = await rig.sink.publish(publication(clock))
        assert again.failure is None
        assert again.is_duplicate
        await rig.close()

    clock.run(main())


def test_a_broker_that_makes_no_sense_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    clock = VirtualClock()
    answers = [b"\xc1", encode([1]), encode([0, ["?"], None])]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        decode(await read_message(reader))
        writer.write(framed(answers.pop()))
        await reader.read()

    async def main() -> None:
        listener = Listener(serve, most=4)
        await listener.start(brokers_path(tmp_path))
        connector = far_connector(far_tools(tmp_path, clock))
        while answers:
            (one,) = await connector.sinks["Orders"].publish(publication(clock))
            assert one.failure is not None
            assert one.failure.reason is Reason.OUTCOME_UNKNOWN
        await connector.close()
        await listener.close()

    clock.run(main())


def test_a_dead_letter_is_counted_by_the_worker_that_caused_it(tmp_path: Path) -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = FarRig(tmp_path, clock)
        await rig.start()
        await rig.publish(make_events(1))
        member = await rig.feed.join("work")
        (delivery,) = await member.read()
        assert isinstance(delivery, Delivery)
        await delivery.settle(Settlement(Verdict.REJECT, cause="no"))
        observer = rig.tools.observer
        assert isinstance(observer, FakeObserver)
        assert "dead_letter" in str(vars(observer))
        await member.close()
        await rig.close()

    clock.run(main())


def test_settling_on_a_lost_connection_says_so(tmp_path: Path) -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = FarRig(tmp_path, clock)
        await rig.start()
        await rig.publish(make_events(1))
        member = await rig.feed.join("work")
        (delivery,) = await member.read()
        assert isinstance(delivery, Delivery)
        await rig.cut()
        with pytest.raises(NotConnected):
            await member.read()
        with pytest.raises(Failure):
            await delivery.settle(Settlement(Verdict.ACK))
        await member.close()
        again = await rig.feed.open(Start(StartKind.OLDEST))
        assert len(await again.read()) == 1
        await again.close()
        await rig.close()

    clock.run(main())


def test_a_process_that_serves_alone_keeps_its_brokers_to_itself() -> None:
    assert "desks" not in make_tools().shared
