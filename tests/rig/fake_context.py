"""gRPC's servicer context as a guard sees it, without a wire."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio


class FakeContext:
    """Remembers what was set and written, and reads what it was given."""

    def __init__(
        self,
        metadata: Sequence[tuple[str, str | bytes]] = (),
        remaining: float | None = None,
        requests: Sequence[bytes] = (),
    ) -> None:
        self.metadata = metadata
        self.remaining = remaining
        self.requests = deque(requests)
        self.written: list[bytes] = []
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.trailers: dict[str, Any] = {}
        self.has_left = False

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        return self.metadata

    def time_remaining(self) -> float | None:
        return self.remaining

    def auth_context(self) -> dict[str, Any]:
        return {}

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, trailers: Sequence[tuple[str, str | bytes]]) -> None:
        self.trailers = dict(trailers)

    async def send_initial_metadata(self, metadata: Sequence[tuple[str, str]]) -> None:
        await asyncio.sleep(0)
        if self.has_left:
            raise grpc.aio.UsageError("RPC already finished.")

    async def write(self, message: bytes) -> None:
        await asyncio.sleep(0)
        if self.has_left:
            raise grpc.aio.UsageError("RPC already finished.")
        self.written.append(message)

    async def read(self) -> Any:
        await asyncio.sleep(0)
        return self.requests.popleft() if self.requests else grpc.aio.EOF
