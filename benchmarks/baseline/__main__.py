"""Serve the baseline: `python -m benchmarks.baseline --upstream URL --ports-file FILE`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import ssl
from pathlib import Path

import grpc
import uvloop
from yarl import URL

from benchmarks.baseline.feed import Feeds
from benchmarks.baseline.gateway import Gateway, tuned_session
from interlace.v1 import feed_service_pb2_grpc, gateway_service_pb2_grpc

OPTIONS = [
    ("grpc.so_reuseport", 0),
    # As many as Interlace takes; answers of 1,000 kB pass.
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
    ("grpc.max_send_message_length", 8 * 1024 * 1024),
]


async def _serve(asked: argparse.Namespace) -> None:
    routes: dict[str, str] = json.loads(asked.routes)
    context = ssl.create_default_context(cafile=asked.upstream_ca) if asked.upstream_ca else True
    async with tuned_session(context) as session:
        server = grpc.aio.server(options=OPTIONS)
        posts = {
            name: (URL(asked.upstream + path, encoded=True), media_type)
            for name, (path, media_type) in json.loads(asked.posts).items()
        }
        urls = {name: URL(asked.upstream + path, encoded=True) for name, path in routes.items()}
        gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(
            Gateway(session, urls, posts), server
        )
        feeds = await _feeds(asked.nats)
        feed_service_pb2_grpc.add_FeedServiceServicer_to_server(feeds, server)
        if asked.tls_cert:
            pair = [(_read(asked.tls_key), _read(asked.tls_cert))]
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair))
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        gc.collect()
        gc.freeze()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        _tell(asked.ports_file, f"127.0.0.1:{port}")
        await stopped.wait()
        await server.stop(1.0)


async def _feeds(url: str) -> Feeds:
    if not url:
        return Feeds()
    import nats

    from benchmarks.baseline.nats import NatsFeeds

    return await NatsFeeds.made((await nats.connect(url)).jetstream())


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _tell(path: Path, address: str) -> None:
    path.write_text(address, encoding="ascii")


def main() -> None:
    """Serve until SIGTERM; the address is in the file that `--ports-file` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baseline")
    parser.add_argument("--upstream", required=True, help="base URL of the upstream")
    parser.add_argument("--routes", default="{}", help="JSON: operation to path")
    parser.add_argument("--posts", default="{}", help="JSON: operation to path and media type")
    parser.add_argument("--ports-file", type=Path, required=True)
    parser.add_argument("--nats", default="", help="serve feeds from this broker")
    parser.add_argument("--upstream-ca", type=Path)
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
