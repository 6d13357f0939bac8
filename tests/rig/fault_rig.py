"""The whole service between a client of ours and an upstream that writes down what arrived, with a
fault proxy on the way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from raw_http import Answer, RawServer, ok
from served import Served, served

from interlace import Client, InterlaceError
from interlace.calls import CallResult
from interlaced.testing.fault_proxy import FaultProxy, Faults

__all__ = [
    "GOOD",
    "Bench",
    "Case",
    "Usage",
    "always",
    "bench",
    "eventually",
    "first",
    "first_wire",
    "outcome_of",
    "wire",
    "write_manifest",
]

GOOD = ok(b'{"data":1}')

POLICY: Mapping[str, object] = {
    "deadline": "3s",
    "attempt_timeout": "200ms",
    "retry": {"attempts": 3, "backoff": "1ms..5ms", "budget": "100%"},
    "breaker": None,
}
"""Three quick attempts, and no breaker to answer in the upstream's place."""

OPERATIONS: Mapping[str, object] = {
    "Read": {"get": "/read/{id}", "check": True},
    "Write": {"post": "/write", "body": "$payload", "check": True,
              "idempotency_header": "Idempotency-Key"},
    "Old": {"post": "/old", "body": "$payload", "check": True},
}  # fmt: skip
"""A read, a write that takes a key, and one that cannot."""


def write_manifest(folder: Path, name: str, document: Mapping[str, object]) -> None:
    """Writes a connector's manifest; JSON is YAML."""
    whole = {"interlace": 1, "connector": name, "description": "For the fault tests.", **document}
    (folder / f"{name}.yaml").write_text(json.dumps(whole))


@dataclass
class Bench:
    """What a fault test holds in its hands."""

    upstream: RawServer
    proxy: FaultProxy
    service: Served
    client: Client

    def answer(self, *answers: Answer) -> None:
        """The upstream gives these answers first, and then good ones."""
        self.upstream.answers.extend(answers)

    def always(self, answer: Answer) -> None:
        """The upstream gives this answer for good."""
        self.upstream.default = answer

    async def read(self, number: int = 1, *, timeout: float = 5.0) -> CallResult:
        """Reads (column A)."""
        return await self.client.call("shop", "Read", {"id": str(number)}, timeout=timeout)

    def arrivals(self) -> Counter[bytes]:
        """How often each body arrived at the upstream."""
        return Counter(seen.body for seen in self.upstream.requests)

    async def empty_pool(self) -> None:
        """Waits until the service has closed its idle connections."""
        await self.proxy.idle()

    def heal(self) -> None:
        """Takes every fault away."""
        self.upstream.answers.clear()
        self.upstream.default = GOOD
        self.proxy.heal()


@contextlib.asynccontextmanager
async def bench(
    folder: Path,
    *,
    policy: Mapping[str, object] | None = None,
    upstream: Mapping[str, object] | None = None,
    operations: Mapping[str, object] | None = None,
    settings: Mapping[str, object] | None = None,
    others: Mapping[str, Mapping[str, object]] | None = None,
    is_direct: bool = False,
) -> AsyncIterator[Bench]:
    """Serves the connector `shop`, and `others`, from manifests written into `folder`. `is_direct`
    leaves the proxy out of the way."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(RawServer(default=GOOD))
        proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port))
        shop: dict[str, object] = {
            "upstream": {
                "rest": f"http://127.0.0.1:{server.port if is_direct else proxy.port}",
                "allow_private": ["127.0.0.1/32"],
                "connect_timeout": "500ms",
                "idle": "60ms",
                "max_body": "64KiB",
                **(upstream or {}),
            },
            "policy": {**POLICY, **(policy or {})},
            "operations": operations or OPERATIONS,
        }
        for name, document in {"shop": shop, **(others or {})}.items():
            write_manifest(folder, name, document)
        service = await stack.enter_async_context(served(folder, settings=settings))
        client = await stack.enter_async_context(Client(service.address))
        yield Bench(server, proxy, service, client)


@dataclass(frozen=True)
class Case:
    """One line of a column's table.

    `expect` is `ok`, or the reason that the caller gets; `hits` is how many whole requests the
    upstream saw. `pooled` says that a connection waits in the pool when the fault begins,
    and `after` what the next call gets once the fault is gone.
    """

    fault: str
    inject: Callable[[Bench], None]
    expect: str = "ok"
    hits: int = 1
    pooled: bool = False
    after: str = "ok"

    def __str__(self) -> str:
        return self.fault


def always(answer: Answer) -> Callable[[Bench], None]:
    """The fault is in every answer."""
    return lambda it: it.always(answer)


def first(*answers: Answer) -> Callable[[Bench], None]:
    """The fault is in the first answers; good ones follow."""
    return lambda it: it.answer(*answers)


def wire(faults: Faults) -> Callable[[Bench], None]:
    """The fault is on the wire, of every connection."""
    return lambda it: it.proxy.script(faults)


def first_wire(*faults: Faults) -> Callable[[Bench], None]:
    """The fault is on the wire, of the next connections."""
    return lambda it: it.proxy.script_next(*faults)


async def outcome_of(call: Awaitable[Any]) -> str:
    """Returns `ok`, or the reason of what went wrong (the gRPC code where nobody gave one)."""
    try:
        await call
    except InterlaceError as error:
        return error.reason or error.code.name
    return "ok"


async def eventually(
    holds: Callable[[], bool], *, limit: float = 5.0, what: Callable[[], object] | None = None
) -> None:
    """Waits until something that nobody announces has happened."""
    try:
        async with asyncio.timeout(limit):
            while not holds():
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise AssertionError(f"it did not come to pass: {what() if what else ''}") from error


@dataclass(frozen=True)
class Usage:
    """What this process holds: tasks, live timers, open sockets and file descriptors; and, to find
    out who, what the tasks run."""

    tasks: int
    timers: int
    sockets: int
    descriptors: int
    running: Counter[str] = field(default_factory=Counter, repr=False)

    @classmethod
    def now(cls) -> Self:
        """Measures."""
        gc.collect()
        loop: Any = asyncio.get_running_loop()
        own = psutil.Process()
        return cls(
            tasks=len(asyncio.all_tasks()),
            timers=sum(not handle.cancelled() for handle in loop._scheduled),
            sockets=len([one for one in own.net_connections(kind="tcp") if one.status != "NONE"]),
            descriptors=own.num_fds(),
            running=Counter(_named(task) for task in asyncio.all_tasks()),
        )

    @classmethod
    async def at_most(cls) -> Self:
        """Measures some times: between two reads of a stream there is a task less."""
        samples = []
        for _ in range(6):
            samples.append(cls.now())
            await asyncio.sleep(0.01)
        return cls(
            *(
                max(getattr(one, what) for one in samples)
                for what in ("tasks", "timers", "sockets", "descriptors")
            ),
            running=samples[-1].running,
        )

    async def returns(self, *, limit: float = 5.0) -> None:
        """L8: within the limit nothing is held beyond this."""
        now = self.now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not (now := self.now())._is_within(self):
                    await asyncio.sleep(0.05)
        more = dict(now.running - self.running)
        assert now._is_within(self), f"left over: {now}, at first {self}; tasks more {more}"

    def _is_within(self, base: Usage) -> bool:
        return (
            self.tasks <= base.tasks
            and self.timers <= base.timers + 2  # a tick of the health watch, and of gRPC's poller
            and self.sockets <= base.sockets
            and self.descriptors <= base.descriptors
        )


def _named(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "?")
