"""Publishing over one shared link."""

from __future__ import annotations

import asyncio

import pytest
from fake_link import FakeLink, FakeMessage

from interlaced.testing.clock import VirtualClock
from interlaced.transport.nats_link import LinkLost
from interlaced.transport.nats_publish import Outgoing, SharedLink, publish_all


def outgoing(count: int) -> dict[int, Outgoing]:
    return {number: Outgoing("orders", {}, str(number).encode()) for number in range(count)}


def test_the_size_is_what_the_server_counts() -> None:
    assert Outgoing("a", {}, b"xy").size == len(b"NATS/1.0\r\n\r\nxy")
    assert Outgoing("a", {"k": "v"}, b"").size == len(b"NATS/1.0\r\nk: v\r\n\r\n")


def test_each_message_gets_its_own_answer() -> None:
    clock, link = VirtualClock(), FakeLink()

    async def main() -> None:
        publishing = asyncio.ensure_future(
            publish_all(link, clock, outgoing(3), until=clock.now() + 5)
        )
        await asyncio.sleep(0)
        assert [data for _, data, _ in link.sent] == [b"0", b"1", b"2"]
        link.answers[2].set_result(FakeMessage(data=b"two"))
        link.answers[0].set_exception(ValueError("no"))
        answers = await publishing
        assert isinstance(answers[0], ValueError)
        assert answers[1] is None
        assert answers[2] == FakeMessage(data=b"two")
        assert link.answers[1].cancelled()

    clock.run(main())


def test_what_could_not_be_sent_is_left_out() -> None:
    clock, link = VirtualClock(), FakeLink()
    link.lose()
    answers = clock.run(publish_all(link, clock, outgoing(3), until=clock.now() + 5))
    assert answers == {}


async def test_a_shared_link_is_opened_when_needed_and_again_when_lost() -> None:
    opened: list[FakeLink] = []

    async def open_link() -> FakeLink:
        opened.append(FakeLink())
        return opened[-1]

    shared = SharedLink(open_link)
    first = await shared.get()
    assert await shared.get() is first
    opened[0].lose()
    second = await shared.get()
    assert (second is first, opened[0].is_closed) == (False, True)
    await shared.give_up(first)
    assert await shared.get() is second
    await shared.give_up(second)
    third = await shared.get()
    assert third not in (first, second)
    await shared.close()
    await shared.close()
    assert opened[2].is_closed
    with pytest.raises(LinkLost):
        await shared.get()
