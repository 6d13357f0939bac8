"""Asking a worker through its own admin listener, a Unix socket that only the group can reach."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from interlaced.core.failure import Failure, Reason

__all__ = ["WorkerAdmin"]

_QUICK = aiohttp.ClientTimeout(total=5.0)
_ACTION = aiohttp.ClientTimeout(total=50.0)
"""Less than `interlace reload` waits, so that it hears what went wrong."""


_SILENT = frozenset((errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE))
"""Errors of a socket that is there, with nobody behind it who answers."""


class WorkerAdmin:
    """The admin listener of one seat's worker; every question has a connection of its own."""

    def __init__(self, index: int, path: Path) -> None:
        self._index = index
        self._path = path

    async def is_alive(self, seconds: float) -> bool:
        """Returns whether it answers within so many seconds, or at all; raises Failure
        INTERNAL_ERROR where it cannot be asked, which may be the asker's own trouble."""
        try:
            await self._ask("GET", "/healthz", aiohttp.ClientTimeout(total=seconds))
        except Failure as failure:
            if _is_silence(failure.__cause__):
                return False
            raise
        return True

    async def metrics(self) -> str:
        """Returns its Prometheus text."""
        return (await self._ask("GET", "/metrics", _QUICK)).decode()

    async def status(self) -> Mapping[str, object]:
        """Returns what GET /status shows."""
        told: dict[str, object] = json.loads(await self._ask("GET", "/status", _QUICK))
        return told

    async def act(self, name: str) -> Mapping[str, object]:
        """Runs an action and returns its answer."""
        told: dict[str, object] = json.loads(await self._ask("POST", f"/{name}", _ACTION))
        return told

    async def _ask(self, method: str, path: str, timeout: aiohttp.ClientTimeout) -> bytes:
        """Raises Failure INTERNAL_ERROR if the worker does not answer, or not with 200."""
        connector = aiohttp.UnixConnector(path=str(self._path))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, f"http://localhost{path}") as answer,
            ):
                body = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            message = f"worker {self._index} does not answer"
            raise Failure(Reason.INTERNAL_ERROR, message) from error
        if answer.status != 200:
            raise Failure(Reason.INTERNAL_ERROR, f"worker {self._index} failed; see the log")
        return body


def _is_silence(error: BaseException | None) -> bool:
    """Whether the worker did not answer; anything else may be the trouble of who asks."""
    if isinstance(error, TimeoutError | aiohttp.ServerDisconnectedError):
        return True
    return isinstance(error, OSError) and error.errno in _SILENT
