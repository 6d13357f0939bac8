"""A reload of the whole group, in two steps: all workers read and build, then all swap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, Reason
from interlaced.core.ports import Clock
from interlaced.core.tasks import end_tasks
from interlaced.telemetry.log import log

__all__ = ["Actor", "GroupReload"]

_OK, _UNCHANGED, _REFUSED, _FAILED = "ok", "unchanged", "refused", "failed"
_MIXED = "the files changed while the workers read them; reload again"
_PAUSE = Backoff(1.0, 30.0)


class Actor(Protocol):
    """A worker that does as it is told."""

    async def act(self, name: str) -> Mapping[str, object]:
        """Runs `prepare` or `commit` and returns its answer; raises Failure if there is none."""


class GroupReload:
    """Reloads the workers that `actors` returns, once `settle` has seen none of them start;
    `count` hears how each reload ended. Close it once."""

    def __init__(
        self,
        actors: Callable[[], Sequence[Actor]],
        settle: Callable[[], Awaitable[None]],
        count: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._actors = actors
        self._settle = settle
        self._count = count
        self._clock = clock
        self._lock = asyncio.Lock()
        self._wanted: object = None
        """The hash of the configuration that some workers serve and others still have to."""
        self._mending: asyncio.Task[None] | None = None

    async def run(self) -> dict[str, object]:
        """Reloads and says what came of it, as a single server does. Reloads queue.

        Nobody swaps unless all have found the same configuration right. Raises Failure if a worker
        does not answer: in the first step nothing has changed then. In the second, which only
        something from outside can stop (a connector that cannot be opened), the others serve the
        new one; those that failed keep the old one and are asked again until they have it too.
        """
        async with self._lock:
            self._wanted = None
            await self._settle()
            try:
                answer = await self._run(self._actors())
            except Exception:
                self._count(_FAILED)
                raise
            self._count(str(answer["result"]))
            return answer

    async def close(self) -> None:
        """Asks nobody again."""
        if self._mending is not None:
            await end_tasks((self._mending,))

    async def _run(self, actors: Sequence[Actor]) -> dict[str, object]:
        if not actors:
            raise Failure(Reason.DRAINING, "no worker serves")
        found = await asyncio.gather(*(actor.act("prepare") for actor in actors))
        refused = next((each for each in found if each["result"] == _REFUSED), None)
        if refused is not None:
            return dict(refused)
        if len({each["config_hash"] for each in found}) > 1:
            return {**found[0], "result": _REFUSED, "problems": [_MIXED]}
        if all(each["result"] == _UNCHANGED for each in found):
            return dict(found[0])
        done = await asyncio.gather(
            *(actor.act("commit") for actor in actors), return_exceptions=True
        )
        failed = [each for each in done if isinstance(each, BaseException)]
        if failed:
            log.error("group.split", failed=len(failed), workers=len(actors))
            if len(failed) < len(actors):
                self._mend_until(found[0]["config_hash"])
            raise failed[0]
        changed = [each for each in found if each["result"] == _OK]
        log.info("group.reloaded", config_hash=changed[0]["config_hash"])
        return dict(changed[0])

    def _mend_until(self, config_hash: object) -> None:
        self._wanted = config_hash
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        """Asks again, with growing pauses, until all have what some already serve, or somebody
        reloads."""
        number = 0
        while self._wanted is not None:
            await self._clock.sleep(_PAUSE.ceiling(number))
            number += 1
            async with self._lock:
                if self._wanted is None:
                    return
                try:
                    await self._ask_again(self._wanted)
                except Failure as failure:
                    log.warning("group.not_mended", why=failure.message)

    async def _ask_again(self, wanted: object) -> None:
        """Makes all workers swap that have not; raises Failure if one of them cannot."""
        await self._settle()
        actors = self._actors()
        found = await asyncio.gather(*(actor.act("prepare") for actor in actors))
        if {each["config_hash"] for each in found} - {wanted}:
            log.warning("group.not_mended", why="the files have changed since; reload again")
        elif any(each["result"] != _UNCHANGED for each in found):
            await asyncio.gather(*(actor.act("commit") for actor in actors))
            log.info("group.mended", config_hash=wanted)
        self._wanted = None
