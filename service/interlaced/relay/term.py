"""Who reads a feed's upstream: the worker that holds its lock, for one term."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = ["STEP", "Lock", "Term", "socket_path", "take_lock"]

STEP = 1 << 40
"""How far the counters of two terms are apart: more events than a term can have."""

_STATE = struct.Struct(">IQ")  # the epoch of what the group stamps, and the number of the last term


@dataclass(frozen=True, slots=True)
class Term:
    """The time in which one worker stamps a feed's events; the group's first has number 1.

    All terms of a feed share an epoch, and positions grow over all of them, so that a cursor of
    one worker names at most one place on every other.
    """

    epoch: int
    number: int

    @property
    def counter(self) -> int:
        """The counter of the event before the first."""
        return self.number * STEP


class Lock:
    """The right to read a feed's upstream. The kernel frees it when its process dies."""

    __slots__ = ("_handle", "term")

    def __init__(self, handle: int, term: Term) -> None:
        self._handle = handle
        self.term = term

    def release(self) -> None:
        """Lets another take it."""
        os.close(self._handle)


def take_lock(folder: Path, feed: str) -> Lock | None:
    """Takes a feed's lock and begins a term, or returns None if another worker has it. OSError if
    the folder cannot be used."""
    handle = os.open(folder / f"{_short(feed)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Lock(handle, _next_term(handle))
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise


def socket_path(folder: Path, feed: str) -> Path:
    """Returns where the worker that holds a feed's lock listens."""
    return folder / f"{_short(feed)}.sock"


def _short(feed: str) -> str:
    """A short name: the path of a Unix socket has some 100 bytes in all."""
    return hashlib.blake2b(feed.encode(), digest_size=8).hexdigest()


def _next_term(handle: int) -> Term:
    """Counts a term in the file that is the lock."""
    known = os.pread(handle, _STATE.size, 0)
    if len(known) == _STATE.size:
        epoch, number = _STATE.unpack(known)
    else:
        epoch, number = secrets.randbits(32), 0
    os.pwrite(handle, _STATE.pack(epoch, number + 1), 0)
    return Term(epoch, number + 1)
