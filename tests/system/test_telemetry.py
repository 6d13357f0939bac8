"""What a running service tells: every metric under its name, few labels, health by connector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families
from served import Served, served

from interlace import Client, Event, InterlaceError
from interlaced.core.feed_settings import FeedState
from interlaced.telemetry import names

DESK = """
interlace: 1
connector: desk
upstream: {memory: desk}
policy:
  retry: {attempts: 2, backoff: 10ms..10ms}
  limit: {rate: 500/s, burst: 1}
  bulkhead: {in_flight: 1, queue: 1}
  breaker: {consecutive: 4, open: 60s}
operations:
  Hello: {reply: {greeting: hello}, delay: 30ms}
  Broken: {fail: {reason: UPSTREAM_CONNECT, reached: not_sent}}
feeds:
  Calls: {ack: {wait: 5s}}
sinks: {Calls: {}}
"""
SOUND = """
interlace: 1
connector: sound
upstream: {memory: sound}
operations: {Hello: {reply: {greeting: hello}}}
"""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "desk.yaml").write_text(DESK)
    (tmp_path / "sound.yaml").write_text(SOUND)
    return tmp_path


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def samples(service: Served) -> dict[str, list[dict[str, str]]]:
    """The labels of every series, by the name of its metric."""
    found: dict[str, list[dict[str, str]]] = {}
    text = service.app._metrics.render().decode()
    for family in text_string_to_metric_families(text):
        found[family.name] = [sample.labels for sample in family.samples]
    return found


async def ask(service: Served, client: Client) -> None:
    """Calls that queue, that fail, and that nobody knows."""
    calls = [client.call("desk", "Hello") for _ in range(4)]
    await asyncio.gather(*calls, return_exceptions=True)
    for connector, operation in (
        *[("desk", "Broken")] * 2,
        ("nobody-knows-me", "Hello"),
        ("sound", "NoSuchOperation"),
    ):
        with pytest.raises(InterlaceError):
            await client.call(connector, operation)
    async with grpc.aio.insecure_channel(service.address) as channel:
        for method in ("/interlace.v1.GatewayService/Nothing", "/made.up.Service/Method"):
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(method)(b"")
    async with client.session() as session:
        await session.call("sound", "Hello")


async def listen(client: Client) -> None:
    """Subscribes, publishes and settles."""
    event = Event(id="1", source="test", type="t", data=b"{}")
    async with (
        client.subscribe("desk.Calls") as events,
        client.consume("desk.Calls", group="g") as consumer,
    ):
        reading = asyncio.ensure_future(anext(aiter(events)))
        await asyncio.sleep(0.1)
        await client.publish("desk.Calls", [event])
        await reading
        await (await anext(aiter(consumer))).ack()


async def test_every_metric_is_emitted_by_a_running_service(folder: Path) -> None:
    """EXPERIENCE.md 1.8; a sound feed has no gaps and drops nothing, so these two are silent."""
    async with served(folder) as service, Client(service.address) as client:
        await listen(client)
        await ask(service, client)
        await service.app.reload()
        await until(lambda: bool(samples(service)[names.LOOP_LAG.prometheus]))
        found = samples(service)
        silent = {metric for metric in names.OF_PROCESS if not found.get(metric.prometheus)}
        assert silent == {names.FEED_GAPS, names.SUBSCRIBER_DROPPED}


async def test_names_that_callers_make_up_never_become_labels(folder: Path) -> None:
    async with served(folder) as service, Client(service.address) as client:
        await ask(service, client)
        found = samples(service)
        methods = {labels["rpc_method"] for labels in found[names.RPC_DURATION.prometheus]}
        gateway = "interlace.v1.GatewayService"
        assert methods == {f"{gateway}/Call", f"{gateway}/Session", "_OTHER"}
        labels = [labels for each in found.values() for labels in each]
        assert {each.get("connector", "desk") for each in labels} == {"desk", "sound"}
        assert "NoSuchOperation" not in str(labels)
        failed = {each["error_type"] for each in found[names.RPC_DURATION.prometheus]}
        assert {"UNKNOWN_CONNECTOR", "UNKNOWN_OPERATION", "UNKNOWN_METHOD"} <= failed


async def test_the_series_of_a_connector_end_with_it(folder: Path) -> None:
    async with served(folder) as service, Client(service.address) as client:
        await ask(service, client)
        (folder / "desk.yaml").unlink()
        assert (await service.app.reload())["result"] == "ok"
        found = samples(service)
        assert [name for name, each in found.items() if "desk" in str(each)] == []
        (folder / "desk.yaml").write_text(DESK)
        assert (await service.app.reload())["result"] == "ok"
        await client.call("desk", "Hello")
        states = [
            each for each in samples(service)["interlace_breaker_state"]
            if each["connector"] == "desk"
        ]  # fmt: skip
        assert len(states) == 3


async def health_of(service: Served, name: str) -> int:
    async with grpc.aio.insecure_channel(service.address) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        return (await health_pb2_grpc.HealthStub(channel).Check(request)).status


async def test_an_open_breaker_makes_its_connector_sick_and_nothing_else(folder: Path) -> None:
    """API.md section 4: readiness does not depend on upstreams."""
    async with served(folder) as service, Client(service.address) as client:
        async with grpc.aio.insecure_channel(service.address) as channel:
            request = health_pb2.HealthCheckRequest(service="connector/desk")
            watch = health_pb2_grpc.HealthStub(channel).Watch(request)
            assert (await watch.read()).status == SERVING
            for _ in range(2):
                with pytest.raises(InterlaceError):
                    await client.call("desk", "Broken")
            async with asyncio.timeout(10):
                assert (await watch.read()).status == NOT_SERVING
            watch.cancel()
        assert await health_of(service, "connector/sound") == SERVING
        assert await health_of(service, "") == SERVING
        assert service.app.is_ready


async def test_a_feed_without_progress_makes_its_connector_sick(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(folder) as service:
        stuck = FeedState(state="connecting", subscribers=1, is_progressing=False)
        monkeypatch.setattr(service.app._hub, "states", lambda: {"desk.Calls": stuck})
        async with asyncio.timeout(10):
            while await health_of(service, "connector/desk") != NOT_SERVING:
                await asyncio.sleep(0.05)
        assert await health_of(service, "connector/sound") == SERVING
        assert await health_of(service, "") == SERVING
