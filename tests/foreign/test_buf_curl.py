"""`buf curl` against the service: it knows nothing of us but what reflection tells it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from foreign_rig import BUF, LIMIT, Ran, run, running, serving
from google.rpc.error_details_pb2 import ErrorInfo

from interlaced.core.failure import Reason

GATEWAY = "interlace.v1.GatewayService"
FEEDS = "interlace.v1.FeedService"
HELLO = {"connector": "desk", "operation": "Hello"}
NOTHING = {"connector": "desk", "operation": "Nothing"}
BITS_OF_THE_EXIT_CODE = 3


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with serving(tmp_path) as service:
        yield f"http://{service.address}"


def line(*arguments: str) -> tuple[str, ...]:
    return (str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments)


async def ask(url: str, method: str, *requests: object) -> Ran:
    entered = "\n".join(json.dumps(request) for request in requests)
    return await run(*line("--data", "@-", f"{url}/{method}"), entered=entered)


def body(payload: dict) -> object:
    return json.loads(base64.b64decode(payload["data"]))


async def test_it_lists_the_services_and_their_methods(url: str) -> None:
    services = await run(*line("--list-services", url))
    assert set(services.out.split()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "interlace.v1.CatalogService",
        FEEDS,
        GATEWAY,
    }
    methods = await run(*line("--list-methods", url))
    ours = [name for name in methods.out.split() if name.startswith("interlace.v1.")]
    assert {name.rpartition("/")[2] for name in ours} == {
        *("Call", "FanOut", "StreamFanOut", "Session"),
        *("Subscribe", "Consume", "Publish"),
        *("ListConnectors", "GetConnector"),
    }


async def test_a_call_is_answered(url: str) -> None:
    ran = await ask(url, f"{GATEWAY}/Call", {"call": HELLO})
    assert ran.code == 0, ran.err
    (answer,) = ran.documents()
    assert body(answer["payload"]) == {"greeting": "grüß dich"}
    assert answer["effort"]["attempts"] == 1


async def test_an_error_carries_its_reason(url: str) -> None:
    ran = await ask(url, f"{GATEWAY}/Call", {"call": NOTHING})
    told = json.loads(ran.err)
    assert (ran.code >> BITS_OF_THE_EXIT_CODE, told["code"]) == (5, "not_found")
    (detail,) = told["details"]
    assert detail["type"] == "google.rpc.ErrorInfo"
    info = ErrorInfo.FromString(base64.b64decode(detail["value"] + "=="))
    assert (info.reason, info.domain) == (Reason.UNKNOWN_OPERATION.name, "interlace")


async def test_a_fan_out_tells_of_every_branch_and_its_details_are_described(url: str) -> None:
    """The Any of the failed branch is shown by its fields: reflection describes it."""
    branches = [{"name": "well", "call": HELLO}, {"name": "badly", "call": NOTHING}]
    ran = await ask(url, f"{GATEWAY}/FanOut", {"branches": branches, "policy": {"bestEffort": {}}})
    assert ran.code == 0, ran.err
    (answer,) = ran.documents()
    well, badly = answer["outcomes"]
    assert body(well["payload"]) == {"greeting": "grüß dich"}
    assert (badly["branch"], badly["status"]["code"]) == ("badly", 5)
    (detail,) = badly["status"]["details"]
    assert detail["@type"].endswith("/google.rpc.ErrorInfo")
    assert (detail["reason"], detail["domain"]) == ("UNKNOWN_OPERATION", "interlace")


async def test_a_session_carries_several_calls(url: str) -> None:
    items = [{"id": number, "call": HELLO} for number in (1, 2, 3)]
    ran = await ask(url, f"{GATEWAY}/Session", {"items": items[:2]}, {"items": items[2:]})
    assert ran.code == 0, ran.err
    first, *more = ran.documents()
    assert first["limits"]["inFlight"] > 0
    replies = [reply for message in [first, *more] for reply in message.get("replies", [])]
    assert sorted(reply["id"] for reply in replies) == ["1", "2", "3"]
    assert all("payload" in reply["outcome"] for reply in replies)


async def test_a_subscription_shows_the_events_that_are_published(url: str) -> None:
    events = [{"id": f"event-{number}", "source": "buf", "type": "told"} for number in range(5)]
    published = await ask(url, f"{FEEDS}/Publish", {"sink": "line.Counted", "events": events})
    assert published.documents() == [{"outcomes": [{"position": p} for p in positions(published)]}]
    wanted = {"feed": "line.Counted", "start": {"oldest": {}}}
    request = ("--data", json.dumps(wanted), f"{url}/{FEEDS}/Subscribe")
    async with asyncio.timeout(LIMIT), running(*line(*request)) as subscription:
        assert subscription.stdout
        shown = b""
        while b'"event-4"' not in shown:
            more = await subscription.stdout.read(65536)
            assert more, await subscription.communicate()
            shown += more
    names = [text.split('"')[3] for text in shown.decode().splitlines() if '"id":' in text]
    assert names == [event["id"] for event in events]


def positions(published: Ran) -> list[str]:
    (answer,) = published.documents()
    return [outcome["position"] for outcome in answer["outcomes"]]


async def test_the_health_check_answers(url: str) -> None:
    for service in ("", GATEWAY):
        ran = await ask(url, "grpc.health.v1.Health/Check", {"service": service})
        assert ran.documents() == [{"status": "SERVING"}], ran.err
