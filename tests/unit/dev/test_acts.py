"""Every act of the demo notices a promise that is not kept; `test_demo.py` plays the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from command import DevService, dev_service

from interlace import Branch, Client, Event, Policy, Start
from interlaced.dev import acts
from interlaced.dev.acts import ACTS, Act, Stage, Unexpected, _from_first_common, expect


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevService]:
    with dev_service(tmp_path_factory.mktemp("dev")) as service:
        yield service


class Liar:
    """A client that tells the truth but where a test overrides it."""

    def __init__(self, truth: Client) -> None:
        self.truth = truth

    def __getattr__(self, name: str) -> Any:
        return getattr(self.truth, name)


class OtherProduct(Liar):
    async def call(self, connector: str, operation: str, _: object) -> Any:
        return await self.truth.call(connector, operation, {"id": "p002"})


class EverythingIsMet(Liar):
    async def fan_out(self, branches: Sequence[Branch], **_: object) -> Any:
        return await self.truth.fan_out(branches, policy=Policy.best_effort())


class ForgetsABranch(Liar):
    def stream_fan_out(self, branches: Sequence[Branch], *, policy: Policy) -> Any:
        return self.truth.stream_fan_out(branches[:-1], policy=policy)


class MixesUpAnswers(Liar):
    @asynccontextmanager
    async def session(self) -> AsyncIterator[OtherProduct]:
        async with self.truth.session() as calls:
            yield OtherProduct(calls)  # type: ignore[arg-type]  # a session asks like a client


class ForgetsItsPlace(Liar):
    def subscribe(self, feed: str, **_: object) -> Any:
        return self.truth.subscribe(feed, start=Start.now())


class TellsTooMuch(Liar):
    async def publish(self, sink: str, events: Sequence[Event]) -> Any:
        return await self.truth.publish(sink, [Event(id="x", source="x", type="x"), *events])


class WellBehaved(Stage):
    """A stage on which no chaos is ever made."""

    async def chaos(self, upstream: str, **wish: object) -> None:
        """Does nothing."""


LIES: dict[str, tuple[type[Liar], str]] = {
    "call": (OtherProduct, "the product that was asked for"),
    "fan_out": (EverythingIsMet, "ALL fails"),
    "stream_fan_out": (ForgetsABranch, "the slow branch lands last"),
    "session": (MixesUpAnswers, "got its own answer"),
    "shared_feed": (ForgetsItsPlace, "nothing lost or repeated"),
    "publish_and_consume": (TellsTooMuch, "comes again, once"),
    "breaker": (Liar, "the breaker opens"),
}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_an_act_fails_where_its_promise_is_not_kept(
    act: Act, dev: DevService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "_BREAKER_LIMIT", 5)
    monkeypatch.setattr(acts, "_SESSION_CALLS", 20)
    liar, promise = LIES[act.__name__]
    told: list[str] = []
    async with Client(dev.grpc) as client:
        stage = WellBehaved(
            client=liar(client),  # type: ignore[arg-type]  # stands for a client
            grpc=dev.grpc,
            admin=dev.admin,
            tell=told.append,
        )
        with pytest.raises(Unexpected, match=promise):
            await act(stage)
    assert told


def test_two_subscribers_are_compared_from_the_first_event_that_both_saw() -> None:
    assert _from_first_common(list("abcd"), list("cdef")) == (list("cd"), list("cd"))
    assert _from_first_common(list("cdef"), list("abcd")) == (list("cd"), list("cd"))
    assert _from_first_common(list("acd"), list("abcd")) == (list("acd"), list("abc"))
    assert _from_first_common(["a"], ["b"]) == (["a"], ["b"])


def test_a_promise_that_is_kept_says_nothing() -> None:
    expect(True, "anything")
    with pytest.raises(Unexpected, match=r"^anything$"):
        expect(False, "anything")


async def test_chaos_goes_through_the_admin_listener(dev: DevService) -> None:
    async with Client(dev.grpc) as client:
        stage = Stage(client=client, grpc=dev.grpc, admin=dev.admin, tell=print)
        await stage.chaos("shop", status=501)
        try:
            with pytest.raises(Exception, match="UPSTREAM_UNSUPPORTED"):
                await client.call("shop", "GetInventory", {"id": "p001"})
        finally:
            await stage.chaos("shop", clear=True)
        await client.call("shop", "GetInventory", {"id": "p001"})
