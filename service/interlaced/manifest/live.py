"""The configuration that is served: swapped whole, or kept when the new one is wrong."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from interlaced.core.clock import TimeLimit
from interlaced.core.dispatch import Counted, Tally
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Call, Confirmation, Handler, Publication, Reply
from interlaced.core.ports import Clock
from interlaced.core.tasks import end_tasks
from interlaced.manifest.build import Built, Generation
from interlaced.manifest.manifests import Manifests
from interlaced.manifest.problem import ManifestError, Problem
from interlaced.telemetry.log import log

__all__ = ["LiveConfiguration", "Reload", "ReloadResult"]


@dataclass(frozen=True, slots=True)
class _Served:
    """A connector with its counter and its counted handlers."""

    built: Built
    tally: Tally
    calls: Mapping[str, Handler[Call, Reply]]
    sinks: Mapping[str, Handler[Publication, Sequence[Confirmation]]]


class ReloadResult(enum.StrEnum):
    """How a reload ended."""

    OK = "ok"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did; `problems` says why it was refused."""

    result: ReloadResult
    config_hash: str
    problems: tuple[Problem, ...] = ()


Serve: TypeAlias = Callable[[Generation, "LiveConfiguration"], Awaitable[None]]
"""Puts a generation into service: dispatch, feeds, catalog, health."""


class LiveConfiguration:
    """Reads, builds, swaps, and drains what was replaced.

    `read` returns the manifests or raises ManifestError. `build` makes a
    Generation and reuses what did not change. `serve` swaps it in. A replaced connector is closed
    once its calls have ended, at the latest after `drain` seconds.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Awaitable[Manifests]],
        build: Callable[[Manifests, Generation | None], Generation],
        serve: Serve,
        clock: Clock,
        drain: float,
    ) -> None:
        self._read = read
        self._build = build
        self._serve = serve
        self._clock = clock
        self._drain = drain
        self._served: dict[str, _Served] = {}
        self._generation: Generation | None = None
        self._lock = asyncio.Lock()
        self._reloading: asyncio.Task[Reload] | None = None
        self._prepared: Generation | None = None
        self._is_closed = False
        self._closing: dict[asyncio.Task[None], _Served] = {}

    @property
    def generation(self) -> Generation:
        """What is served now."""
        if self._generation is None:
            raise RuntimeError("nothing is served yet")
        return self._generation

    def routes(self) -> dict[tuple[str, str], Handler[Call, Reply]]:
        """The counted handlers of every operation, by (connector, operation)."""
        return {
            (connector, operation): handler
            for connector, served in self._served.items()
            for operation, handler in served.calls.items()
        }

    def sinks(self) -> dict[str, Handler[Publication, Sequence[Confirmation]]]:
        """The counted handlers of every sink, by `CONNECTOR.SINK`."""
        return {
            f"{connector}.{sink}": handler
            for connector, served in self._served.items()
            for sink, handler in served.sinks.items()
        }

    async def start(self) -> None:
        """Serves the first configuration; raises ManifestError if it is wrong."""
        await self._swap(await self._build_next())

    async def reload(self) -> Reload:
        """Serves the new configuration, or keeps the old one and says why. Reloads queue.

        Whoever gives up waiting for it does not stop it half-way; only `close` does, and from then
        on it raises Failure DRAINING.
        """
        return await self._change(self._reload)

    async def prepare(self) -> Reload:
        """Reads and builds the new configuration and holds it for `commit`; says as `reload` does
        what will come of it. Nothing is opened, and the old one goes on serving."""
        return await self._change(self._prepare)

    async def commit(self) -> Reload:
        """Serves what `prepare` holds; without it, nothing changes. Raises what opening a
        connector raises, and the old configuration goes on serving then."""
        return await self._change(self._commit)

    async def _change(self, change: Callable[[], Coroutine[Any, Any, Reload]]) -> Reload:
        """Runs one change at a time, to its end."""
        async with self._lock:
            if self._is_closed:
                raise _draining()
            self._reloading = asyncio.create_task(change())
            try:
                return await asyncio.shield(self._reloading)
            except asyncio.CancelledError:
                if self._reloading.cancelled():
                    raise _draining() from None
                await asyncio.wait((self._reloading,))
                raise

    async def close(self) -> None:
        """Closes every connector, replaced ones included, without waiting for their calls; a
        reload that is under way is given up. Doing it twice does nothing."""
        self._is_closed = True
        if self._reloading is not None:
            await end_tasks((self._reloading,))
        closing, served = dict(self._closing), self._served
        self._served = {}
        await end_tasks(closing)
        # A task that was cancelled before its first step has closed nothing.
        for each in (*closing.values(), *served.values()):
            await _close(each.built)

    async def _reload(self) -> Reload:
        found = await self._prepare()
        return await self._commit() if found.result is ReloadResult.OK else found

    async def _prepare(self) -> Reload:
        self._prepared = None
        before = self.generation.catalog.config_hash
        try:
            following = await self._build_next()
        except ManifestError as error:
            log.error("config.refused", config_hash=before, problems=len(error.problems))
            return Reload(ReloadResult.REFUSED, before, error.problems)
        if following.is_same(self.generation):
            return Reload(ReloadResult.UNCHANGED, before)
        self._prepared = following
        return Reload(ReloadResult.OK, following.catalog.config_hash)

    async def _commit(self) -> Reload:
        before = self.generation.catalog.config_hash
        following, self._prepared = self._prepared, None
        if following is None:
            return Reload(ReloadResult.UNCHANGED, before)
        after = following.catalog.config_hash
        await self._swap(following)
        log.info("config.reloaded", config_hash=after, replaced_hash=before)
        return Reload(ReloadResult.OK, after)

    async def _build_next(self) -> Generation:
        return self._build(await self._read(), self._generation)

    async def _swap(self, following: Generation) -> None:
        """Opens what is new, puts it into service, and drains what was replaced."""
        before = self._served
        opened: list[Built] = []
        try:
            for built in following.built.values():
                if not self._is_served(built):
                    opened.append(built)
                    await built.connector.open()
        except BaseException:
            for built in opened:
                await _close(built)
            raise
        self._served = {
            name: before[name] if self._is_served(built) else _count(built)
            for name, built in following.built.items()
        }
        self._generation = following
        try:
            await self._serve(following, self)
        finally:
            for name, served in before.items():
                if self._served.get(name) is not served:
                    self._close_later(served)

    def _is_served(self, built: Built) -> bool:
        """Whether this very connector is served already."""
        served = self._served.get(built.name)
        return served is not None and served.built is built

    def _close_later(self, served: _Served) -> None:
        task = asyncio.create_task(self._close_when_idle(served))
        self._closing[task] = served
        task.add_done_callback(self._closing.pop)

    async def _close_when_idle(self, served: _Served) -> None:
        try:
            with TimeLimit(self._clock, self._clock.now() + self._drain):
                await served.tally.wait_idle()
        except TimeoutError:
            log.warning("config.drain_cut", connector=served.built.name, calls=served.tally.count)
        finally:
            await _close(served.built)


async def _close(built: Built) -> None:
    """Closes a connector; one that cannot be closed must not keep the others open."""
    try:
        await built.connector.close()
    except Exception as error:  # noqa: BLE001  # the border to whatever a connector is made of
        log.error("config.close_failed", connector=built.name, exc_info=error)


def _draining() -> Failure:
    return Failure(Reason.DRAINING, "the server is shutting down")


def _count(built: Built) -> _Served:
    """Wraps a connector's handlers with a counter of its own."""
    tally = Tally()
    return _Served(
        built,
        tally,
        {name: Counted(handler, tally) for name, handler in built.calls.items()},
        {name: Counted(handler, tally) for name, handler in built.sinks.items()},
    )
