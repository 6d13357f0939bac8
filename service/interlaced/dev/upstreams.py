"""The fake upstreams together, and the demo manifests that speak to them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib.resources import files
from importlib.resources.abc import Traversable
from random import Random
from types import TracebackType
from typing import Self

from interlaced.core.ports import Clock
from interlaced.dev import shop, ticker
from interlaced.dev.chaos import Chaos
from interlaced.dev.shop import Shop
from interlaced.dev.ticker import Ticker, TickerSettings

__all__ = ["Upstreams", "manifests"]


def manifests() -> Traversable:
    """Returns the folder of the demo manifests; they want what `Upstreams.environment` gives."""
    return files("interlaced.dev") / "manifests"


class Upstreams:
    """The shop and the ticker on ports of 127.0.0.1 that the system picks, and their chaos.

    An asynchronous context manager; once entered, `environment` holds the addresses under the
    names that the demo manifests use.
    """

    def __init__(
        self, *, clock: Clock, random: Random, ticks: TickerSettings | None = None
    ) -> None:
        # Each has chance of its own, so that one's traffic does not change the other's.
        draw = (Random(random.getrandbits(64)) for _ in range(2))  # noqa: S311  # not for secrets
        self.chaos = Chaos((shop.NAME, ticker.NAME), clock=clock, random=next(draw))
        self.shop = Shop(self.chaos, clock)
        self.ticker = Ticker(self.chaos, clock, next(draw), settings=ticks)
        self._stack = AsyncExitStack()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the demo manifests refer to."""
        return {"SHOP_URL": self.shop.url, "TICKER_URL": self.ticker.url}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.shop)
            await stack.enter_async_context(self.ticker)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
