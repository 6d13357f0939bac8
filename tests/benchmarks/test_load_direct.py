"""The load that asks the upstream itself counts right answers alone, however they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from benchmarks.load.bodies import body
from benchmarks.load.direct import DirectLoop
from benchmarks.load.upstream import Upstream

ANSWER = body("json", 500)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
GOOD = HEAD % len(ANSWER) + ANSWER


class Canned(asyncio.Protocol):
    """Writes the same pieces after each request, a turn of the loop apart; none closes it."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"GET /json/500 HTTP/1.1\r\nHost: 127.0.0.1:")
        if not self._pieces:
            self._transport.close()
        for turn, piece in enumerate(self._pieces):
            asyncio.get_running_loop().call_later(turn / 1000, self._transport.write, piece)


@asynccontextmanager
async def loop_beside(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[DirectLoop]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    load = DirectLoop(f"http://127.0.0.1:{port}/json/500", ANSWER)
    yield load
    load.close()
    server.close()
    await server.wait_closed()


async def run(load: DirectLoop, least: int) -> None:
    await load.start()
    async with asyncio.timeout(30):
        while load.tally.done + load.tally.errors < least:
            await asyncio.sleep(0.001)
    await load.stop()


async def test_the_upstream_is_asked_one_request_after_the_other_and_again_after_a_stop() -> None:
    async with loop_beside(Upstream) as load:
        await run(load, 20)
        before = load.tally.done
        await run(load, before + 20)
        assert load.tally.errors == 0
        assert len(load.tally.latencies) == load.tally.done >= 40
        assert all(seconds > 0 for seconds in load.tally.latencies)


async def test_an_answer_that_comes_in_pieces_is_one_answer() -> None:
    async with loop_beside(lambda: Canned([GOOD[:30], GOOD[30:-7], GOOD[-7:]])) as load:
        await run(load, 5)
        assert load.tally.errors == 0


async def test_another_body_and_another_status_are_errors() -> None:
    for wrong in (HEAD % 3 + b"{ }", GOOD.replace(b"200 OK", b"503 Down")):
        async with loop_beside(lambda wrong=wrong: Canned([wrong])) as load:  # type: ignore[misc]
            await run(load, 1)
            assert load.tally.done == 0
            assert load.tally.told[0] == "not the answer that was expected"


async def test_a_lost_connection_is_an_error_and_the_next_start_has_a_new_one() -> None:
    async with loop_beside(lambda: Canned([])) as load:
        for number in (1, 2):
            await run(load, number)
            assert load.tally.errors == number
        assert load.tally.told == ["the connection was lost"] * 2
        assert load.tally.done == 0
