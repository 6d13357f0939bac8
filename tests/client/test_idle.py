"""P34: quiet streams survive what stands between client and service."""

from __future__ import annotations

import asyncio
from pathlib import Path

from served import served

from interlace import Client, Event

MANIFEST = """
interlace: 1
connector: desk
upstream: {memory: desk}
feeds: {Orders: {}}
sinks: {Orders: {}}
"""
IDLE_CUT = 2.5


class IdleCutter:
    """A proxy that cuts a connection on which nothing has passed for a while."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.cuts = 0
        self.accepted = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        answers, server = await asyncio.open_connection("127.0.0.1", self._target)
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        pumps = [
            asyncio.create_task(self._pump(reader, server)),
            asyncio.create_task(self._pump(answers, writer)),
        ]
        try:
            while not any(pump.done() for pump in pumps):
                await asyncio.sleep(0.1)
                if loop.time() - self._last > IDLE_CUT:
                    self.cuts += 1
                    break
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (writer, server):
                end.close()
                await asyncio.gather(end.wait_closed(), return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(65536):
            self._last = asyncio.get_running_loop().time()
            sink.write(piece)
            await sink.drain()


async def test_p34_an_idle_subscription_outlives_a_proxy_that_cuts_what_is_idle(
    tmp_path: Path,
) -> None:
    """P34, with its ten minutes and its 60 s scaled down: heartbeats of 1 s, a cut after 2.5 s."""
    (tmp_path / "desk.yaml").write_text(MANIFEST)
    async with served(tmp_path) as service:
        cutter = IdleCutter(int(service.address.rsplit(":", 1)[1]))
        proxy = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        async with (
            Client(service.address) as direct,
            Client(f"127.0.0.1:{port}") as client,
            client.subscribe("desk.Orders", heartbeat=1, reconnect=None) as events,
        ):
            waiting = asyncio.create_task(anext(events))
            await asyncio.sleep(3 * IDLE_CUT)
            await direct.publish("desk.Orders", [Event(id="1", source="s", type="t")])
            assert isinstance(await waiting, Event)
        proxy.close()
        await proxy.wait_closed()
    assert (cutter.accepted, cutter.cuts) == (1, 0)
