"""Runs four event loops in one process, each with a server and a client, and prints how often a
loop's exception handler was called."""

from __future__ import annotations

import asyncio
import threading

from rpc_rig import a_call, serving

complaints: list[dict[str, object]] = []


async def load() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    async with serving() as rig:
        for _ in range(9):
            await asyncio.gather(*(rig.call(a_call("Echo")) for _ in range(50)))
    await asyncio.sleep(0.1)


def main() -> None:
    threads = [threading.Thread(target=lambda: asyncio.run(load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"complaints: {len(complaints)}")  # noqa: T201  # the test reads it
    for complaint in complaints[:5]:
        print(complaint)  # noqa: T201  # so that a failure says why


if __name__ == "__main__":
    main()
