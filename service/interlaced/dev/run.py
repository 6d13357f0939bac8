"""`interlace dev`: the server and its fake upstreams in one process."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file
from pathlib import Path
from random import Random

from interlaced.admin.server import Action
from interlaced.app import Addresses, App
from interlaced.core.clock import LoopClock
from interlaced.dev.chaos import Chaos
from interlaced.dev.upstreams import Upstreams, manifests
from interlaced.process import run_until_stopped
from interlaced.settings import Ingress, Settings

__all__ = ["DevOptions", "run_dev"]

_DRAIN = 5.0


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What `interlace dev` can be told; port 0 takes a free one."""

    port: int = 7070
    admin_port: int = 7072
    config: tuple[Path, ...] = ()
    ports_file: Path | None = None


async def run_dev(options: DevOptions) -> None:
    """Serves the demo connectors, and those of `options.config`, until SIGTERM or SIGINT."""
    random = Random(secrets.randbits(64))  # noqa: S311  # chaos, not secrets
    with as_file(manifests()) as folder:
        async with Upstreams(clock=LoopClock(), random=random) as upstreams:
            settings = Settings(
                config=(folder, *options.config),
                ingress=Ingress(port=options.port),
                admin_port=options.admin_port,
                has_reflection=True,
                drain_limit=_DRAIN,
            )
            app = App(
                settings,
                environment={**os.environ, **upstreams.environment},
                actions={"chaos": _chaos_action(upstreams.chaos)},
            )
            await run_until_stopped(app, options.ports_file, greet=_greet)


def _chaos_action(chaos: Chaos) -> Action:
    """Makes the fake upstreams misbehave as posted."""

    async def act(body: Mapping[str, object]) -> Mapping[str, object]:
        return chaos.apply(body)

    return act


def _greet(addresses: Addresses) -> None:
    """Tells where everything is, and what to type next."""
    sys.stderr.write(
        f"""
  Interlace dev: in memory, with fake upstreams; not for production

  gRPC     {addresses.grpc}
  metrics  {addresses.admin}/metrics

  connectors: shop (REST) · ticks (WebSocket) · orders (embedded broker)

  next:  interlace call shop.ListProducts
         interlace watch ticks.Ticks --count 3
         interlace chaos shop --fail 60%
"""
    )
    if addresses.grpc != "127.0.0.1:7070":
        sys.stderr.write(
            f"""
  first: export INTERLACE_SERVER={addresses.grpc} INTERLACE_ADMIN={addresses.admin}
"""
        )
    sys.stderr.flush()
