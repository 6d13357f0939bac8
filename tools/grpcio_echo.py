"""Echoes bytes over grpc.aio with whatever grpcio is installed where it runs.

`python grpcio_echo.py --loop serving|uvloop --ports-file FILE` serves until SIGTERM. It is
started by `grpcio_matrix.py`, in environments that hold grpcio and uvloop and nothing else.
"""

import argparse
import asyncio
import gc
import importlib.util
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvloop

ROOT = Path(__file__).resolve().parent.parent
LOOP = ROOT / "service" / "interlaced" / "rpc" / "loop.py"


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


def serving_loop() -> Any:
    """Returns the loop class that the service runs on, without the rest of the service."""
    spec = importlib.util.spec_from_file_location("serving_loop", LOOP)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(LOOP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ServingLoop


def main() -> None:
    """Serves as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=("serving", "uvloop"), default="serving")
    parser.add_argument("--ports-file", type=Path, required=True)
    asked = parser.parse_args()
    loop = serving_loop() if asked.loop == "serving" else uvloop.Loop
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(serve(asked.ports_file))


if __name__ == "__main__":
    main()
