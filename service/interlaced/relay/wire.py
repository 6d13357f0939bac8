"""Messages on a Unix socket between the processes of one group: a length, and so many bytes."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from interlaced.core.tasks import end_tasks

__all__ = ["MOST_BYTES", "Listener", "Serve", "WireError", "framed", "read_message"]

MOST_BYTES = 64 * 1024 * 1024
"""The longest message, in bytes."""

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection; whoever calls it closes the connection."""

_LENGTH = struct.Struct(">I")


class WireError(Exception):
    """What came is no message of ours; the connection is to be closed."""


def framed(message: bytes) -> bytes:
    """Returns a message as it goes out; WireError if it is too long."""
    if len(message) > MOST_BYTES:
        raise WireError("the message is too long")
    return _LENGTH.pack(len(message)) + message


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Returns the next message. Raises EOFError at the end, also in the middle of a message,
    OSError when the connection is lost, and WireError for one that is too long."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MOST_BYTES:
        raise WireError("the message is too long")
    return await reader.readexactly(length)


class Listener:
    """Takes connections on a Unix socket that only this user can open, and serves each in a task
    of its own, at most `most` at a time."""

    def __init__(self, serve: Serve, *, most: int) -> None:
        self._serve = serve
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_closed = False

    async def start(self, path: Path) -> None:
        """Listens at `path`; what a process that died has left there goes. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._accept, sock=_bind(path))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed or len(self._tasks) >= self._most:
            writer.transport.abort()  # one that was let in just before the end is told so, too
            return
        context = contextvars.Context()
        task = asyncio.get_running_loop().create_task(self._run(reader, writer), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, WireError):
            return  # the other side is gone, or makes no sense: the connection ends either way
        except asyncio.CancelledError:
            writer.transport.abort()  # who does not read would hold the connection open
            raise
        finally:
            writer.close()

    async def close(self) -> None:
        """Ends every connection; the socket's file stays for the next to replace."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        await end_tasks(self._tasks)
        await asyncio.sleep(0)  # the loop closes sockets one turn later


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o600)
    except BaseException:
        bound.close()
        raise
    return bound
