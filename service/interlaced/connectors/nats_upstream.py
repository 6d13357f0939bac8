"""How the nats kind reaches its servers, and what it asks JetStream there. It stands beside the
kind's folder, which has the five files of every kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from interlaced.connectors.nats import recipe
from interlaced.connectors.nats.config import StreamConfig, UpstreamConfig
from interlaced.connectors.nats.errors import FOREIGN, from_exception
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.ports import Tools
from interlaced.core.secret import Secret
from interlaced.transport.nats_link import Link, LinkSettings
from interlaced.transport.tls import TlsSettings, client_context

__all__ = ["Upstream"]


class Upstream:
    """How to reach the servers, and which streams to create there."""

    def __init__(
        self, config: UpstreamConfig, streams: Mapping[str, StreamConfig], tools: Tools
    ) -> None:
        auth, tls = config.auth, config.tls
        nothing = Secret("")
        context = None
        if tls is not None or any(server.startswith("tls:") for server in config.servers):
            paths = TlsSettings(tls.ca, tls.certificate, tls.key) if tls else TlsSettings()
            context = client_context(paths)
        self.timeout = config.timeout
        self.heartbeat = config.heartbeat
        self.tools = tools
        self.streams = streams
        self._settings = LinkSettings(
            servers=config.servers,
            user=auth.user if auth else "",
            password=(auth.password if auth else None) or nothing,
            token=(auth.token if auth else None) or nothing,
            tls=context,
            tls_hostname=tls.hostname if tls else "",
            connect_timeout=config.connect_timeout,
            ping=config.heartbeat,
        )

    async def connect(self) -> Link:
        """Opens a connection. Raises Failure."""
        try:
            return await Link.open(self._settings, self.tools.clock, self.tools.random)
        except FOREIGN as error:
            raise from_exception(error) from error

    async def api(self, link: Link, what: str, request: object = None) -> Mapping[str, Any]:
        """Asks JetStream's API. Raises Failure."""
        data = b"" if request is None else json.dumps(request).encode()
        try:
            answer = await link.ask(f"$JS.API.{what}", data, seconds=self.timeout)
        except FOREIGN as error:
            raise from_exception(error, reached=Reached.MAYBE) from error
        return recipe.read_api(answer.data)

    async def stream(self, link: Link, name: str) -> recipe.StreamFacts:
        """Returns what a stream is; creates it if it is missing and ours to create."""
        try:
            answer = await self.api(link, f"STREAM.INFO.{name}")
        except Failure as failure:
            if failure.reason is not Reason.UPSTREAM_PRECONDITION or name not in self.streams:
                raise
            wanted = recipe.create_stream(name, self.streams[name])
            answer = await self.api(link, f"STREAM.CREATE.{name}", wanted)
        return recipe.read_stream(answer, name)
