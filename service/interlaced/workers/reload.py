"""A reload of the whole group, in two steps: all workers read and build, then all swap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from interlaced.core.failure import Failure, Reason
from interlaced.telemetry.log import log

__all__ = ["Actor", "GroupReload"]

_OK, _UNCHANGED, _REFUSED, _FAILED = "ok", "unchanged", "refused", "failed"
_MIXED = "the files changed while the workers read them; reload again"


class Actor(Protocol):
    """A worker that does as it is told."""

    def replace(self) -> None:
        """Makes it drain and end, for one that reads the files anew."""

    async def act(self, name: str) -> Mapping[str, object]:
        """Runs `prepare` or `commit` and returns its answer; raises Failure if there is none."""


class GroupReload:
    """Reloads the workers that `actors` returns, once `settle` has seen none of them start;
    `count` hears how each reload ended."""

    def __init__(
        self,
        actors: Callable[[], Sequence[Actor]],
        settle: Callable[[], Awaitable[None]],
        count: Callable[[str], None],
    ) -> None:
        self._actors = actors
        self._settle = settle
        self._count = count
        self._lock = asyncio.Lock()

    async def run(self) -> dict[str, object]:
        """Reloads and says what came of it, as a single server does. Reloads queue.

        Nobody swaps unless all have found the same configuration right. Raises Failure if a worker
        does not answer: in the first step nothing has changed then. In the second, which only
        something from outside can stop (a connector that cannot be opened), those that failed are
        replaced where others already serve the new one: a group must not go on serving two.
        """
        async with self._lock:
            await self._settle()
            try:
                answer = await self._run(self._actors())
            except Exception:
                self._count(_FAILED)
                raise
            self._count(str(answer["result"]))
            return answer

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
                for actor, answer in zip(actors, done, strict=True):
                    if isinstance(answer, BaseException):
                        actor.replace()
            raise failed[0]
        changed = [each for each in found if each["result"] == _OK]
        log.info("group.reloaded", config_hash=changed[0]["config_hash"])
        return dict(changed[0])
