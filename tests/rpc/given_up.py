"""Gives up calls to a server in this process, and prints how many bytes of native memory each of
them has cost for good."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from collections import deque

import grpc.aio
from rpc_rig import Rig, a_call, serving

from interlace.v1 import gateway_service_pb2 as pb

CALLS = 3000
STILL, CALM = 15, 65_536
"""So many looks in a row, a tenth of a second apart, must lie within so many bytes."""


class Figures(ctypes.Structure):
    """The C library's `struct mallinfo2`; `uordblks` is what is given out of all its heaps."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks")),
        *((name, ctypes.c_size_t) for name in ("hblkhd", "usmblks", "fsmblks", "uordblks")),
        *((name, ctypes.c_size_t) for name in ("fordblks", "keepcost")),
    )


async def in_use() -> int:
    """The bytes that malloc has given out in this process, without fragments, once gRPC's own
    threads have let go of the last calls: on a busy machine they are late."""
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = Figures
    sizes = deque([0], maxlen=STILL)
    async with asyncio.timeout(40):
        while len(sizes) < STILL or max(sizes) - min(sizes) > CALM:
            await asyncio.sleep(0.1)
            gc.collect()
            sizes.append(int(library.mallinfo2().uordblks))
    return min(sizes)


async def give_up(rig: Rig, count: int) -> None:
    """Begins calls, a hundred at once, and leaves them while they are read, run and answered."""

    async def one(number: int) -> None:
        call = asyncio.ensure_future(begin())
        await asyncio.sleep(0.001 * (number % 5))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    async def begin() -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await rig.stub.Call(pb.CallRequest(call=a_call("Echo")))

    for _ in range(count // 100):
        await asyncio.gather(*(one(number) for number in range(100)))
        rig.upstream.calls.clear()
        rig.observer.begun.clear()
        rig.observer.ended.clear()
    await rig.until_idle()


async def main() -> None:
    async with serving() as rig:
        await give_up(rig, CALLS)
        before = await in_use()
        await give_up(rig, CALLS)
        print((await in_use() - before) // CALLS)  # noqa: T201  # the test reads it


asyncio.run(main())
