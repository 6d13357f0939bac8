"""Echoes bytes over grpc.aio with whatever grpcio is installed where it runs.

`python grpcio_echo.py --ports-file FILE` serves until SIGTERM. It is
started by `grpcio_matrix.py`, in environments that hold grpcio and uvloop and nothing else.
"""

import argparse
import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvloop


async def unary(request: bytes, _: Any) -> bytes:
    """Returns the request."""
    return request


async def stream(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
    """Returns each message as it comes."""
    async for request in requests:
        yield request


async def serve(ports_file: Path) -> None:
    """Serves on a free port of 127.0.0.1, with the options and the generic handlers of a server
    that takes and gives bytes."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, Any] = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gc.collect()
    gc.freeze()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    draft = ports_file.with_suffix(".new")
    draft.write_text(f"127.0.0.1:{port}")
    draft.replace(ports_file)
    await stopped.wait()
    await server.stop(1.0)


def main() -> None:
    """Serves as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports-file", type=Path, required=True)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(asked.ports_file))


if __name__ == "__main__":
    main()
