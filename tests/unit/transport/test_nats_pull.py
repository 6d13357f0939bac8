"""A pull notices when nothing comes any more."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_link import FakeLink, FakeMessage

from interlaced.testing.clock import VirtualClock
from interlaced.transport.nats_link import LinkLost
from interlaced.transport.nats_pull import PullEnded, Puller, PullSettings, PullState, Waker

SETTINGS = PullSettings(batch=3, max_bytes=1000, heartbeat=2.0)


def test_a_request_says_what_it_wants() -> None:
    number, request = PullState(SETTINGS).ask()
    assert number == "1"
    assert json.loads(request) == {
        "batch": 3,
        "max_bytes": 1000,
        "expires": 12_000_000_000,
        "idle_heartbeat": 2_000_000_000,
    }


@pytest.mark.parametrize(("limit", "batch"), [(None, 3), (2, 2), (9, 3), (0, 1)])
def test_a_request_asks_for_no_more_than_there_is_room_for(limit: int | None, batch: int) -> None:
    assert json.loads(PullState(SETTINGS).ask(limit)[1])["batch"] == batch


def test_a_request_is_over_when_all_has_come() -> None:
    state = PullState(SETTINGS)
    state.ask(2)
    state.received()
    assert state.is_asking
    state.received()
    state.received()
    assert not state.is_asking


@pytest.mark.parametrize(
    ("status", "description", "is_gone", "is_asking"),
    [
        ("100", "Idle Heartbeat", False, True),
        ("404", "No Messages", False, False),
        ("408", "Request Timeout", False, False),
        ("409", "Message Size Exceeds MaxBytes", False, False),
        ("409", "Consumer Deleted", True, True),
        ("503", "", True, True),
        ("400", "Bad Request", True, True),
    ],
)
def test_a_status_ends_the_request_or_the_consumer(
    status: str, description: str, *, is_gone: bool, is_asking: bool
) -> None:
    state = PullState(SETTINGS)
    state.ask()
    assert state.told("_INBOX.a.1", status, description) is is_gone
    assert state.is_asking is is_asking


def test_a_status_of_an_earlier_request_says_nothing() -> None:
    state = PullState(SETTINGS)
    state.ask()
    state.ask()
    assert not state.told("_INBOX.a.1", "503", "")
    assert state.is_asking


async def test_a_call_before_the_wait_is_not_lost() -> None:
    wake = Waker()
    wake()
    await wake.wait()
    waiting = asyncio.create_task(wake.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    wake()
    await waiting


class Rig:
    """A puller on a fake link, in virtual time."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.link = FakeLink()
        self.taken: list[FakeMessage] = []
        self.puller = Puller(self.link, clock, settings=SETTINGS, took=self.taken.append)

    async def bind(self) -> None:
        await self.puller.bind("ORDERS", "g")

    async def give(self, **message: object) -> None:
        await self.link.callbacks["_INBOX.fake.*"](FakeMessage(**message))


def test_it_asks_once_and_takes_what_comes() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = Rig(clock)
        await rig.bind()
        waiting = asyncio.create_task(rig.puller.more())
        await asyncio.sleep(0)
        await rig.give(subject="orders.new", reply="$JS.ACK.x")
        await waiting
        waiting = asyncio.create_task(rig.puller.more())
        await asyncio.sleep(0)
        await rig.give(subject="orders.new", reply="$JS.ACK.y", headers={"Status": "hers"})
        await waiting
        assert [one[0] for one in rig.link.sent] == ["$JS.API.CONSUMER.MSG.NEXT.ORDERS.g"]
        assert [one.reply for one in rig.taken] == ["$JS.ACK.x", "$JS.ACK.y"]
        rig.puller.stop()
        rig.puller.stop()

    clock.run(main())


def test_silence_ends_it_though_the_connection_stands() -> None:
    """P9: judged by what comes."""
    clock = VirtualClock()

    async def main() -> None:
        rig = Rig(clock)
        await rig.bind()
        since = clock.now()
        clock.call_at(since + 4.0, lambda: asyncio.ensure_future(beat(rig)))
        await rig.puller.more()
        await rig.puller.more()
        assert isinstance(rig.puller.fault, PullEnded)
        assert rig.puller.fault.status == ""
        assert clock.now() - since == pytest.approx(9.0)

    async def beat(rig: Rig) -> None:
        await rig.give(subject="_INBOX.fake.1", headers={"Status": "100"})

    clock.run(main())


def test_who_asks_for_nothing_is_owed_nothing() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = Rig(clock)
        await rig.bind()
        waiting = asyncio.create_task(rig.puller.more(1))
        await asyncio.sleep(0)
        await rig.give(reply="$JS.ACK.x")
        await waiting
        await clock.sleep(100)
        assert rig.puller.fault is None

    clock.run(main())


async def test_a_lost_link_and_a_deleted_consumer_end_it() -> None:
    rig = Rig(VirtualClock())
    await rig.bind()
    rig.link.lose()
    await rig.puller.more()
    assert isinstance(rig.puller.fault, LinkLost)
    await rig.puller.silence(1.0)
    rig.puller.stop()
    other = Rig(VirtualClock())
    await other.bind()
    waiting = asyncio.create_task(other.puller.more())
    await asyncio.sleep(0)
    gone = {"Status": "409", "Description": "Consumer Deleted"}
    await other.give(subject="_INBOX.fake.1", headers=gone)
    await waiting
    assert isinstance(other.puller.fault, PullEnded)
    assert other.puller.fault.status == "409"
    await other.puller.silence(1.0)
    assert other.link.callbacks == {}
    other.puller.stop()
