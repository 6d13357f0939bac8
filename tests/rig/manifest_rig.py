"""Manifests for tests: texts in, Manifests, problems or a Generation out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlaced.core.ports import Tools
from interlaced.core.seat import Seat
from interlaced.manifest.build import Generation, build
from interlaced.manifest.load import Manifests, load
from interlaced.manifest.problem import ManifestError, Problem
from interlaced.resilience.admission import Admission
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import make_tools

__all__ = [
    "CLOCK",
    "MEMORY",
    "SHOP",
    "build_text",
    "load_text",
    "problems_of",
    "tools",
]

CLOCK = VirtualClock()

SHOP = """\
interlace: 1
connector: shop
description: The shop's catalogue.
upstream: {rest: "${env:SHOP_URL}", auth: {bearer: "${env:SHOP_TOKEN}"}}
policy: vendor-default
operations:
  GetProduct: {get: "/products/{id}", query: {currency: $req.currency}, policy: {deadline: 5s}}
  CreateOrder: {post: /orders, body: $payload, idempotency_header: Idempotency-Key}
---
interlace: 1
policies: {vendor-default: {deadline: 10s, attempt_timeout: 2s, retry: {attempts: 4}}}
"""

MEMORY = """\
interlace: 1
connector: orders
upstream: {memory: main}
operations: {Echo: {echo: true, description: Says it back.}}
feeds: {Orders: {description: What was ordered.}}
sinks: {Orders: {}}
"""

ENV = {"SHOP_URL": "http://127.0.0.1:1/x", "SHOP_TOKEN": "canary-token-1"}


def tools() -> Tools:
    """Tools on a virtual clock that nobody runs."""
    return make_tools(CLOCK)


def load_text(
    folder: Path, *texts: str, env: Mapping[str, str] = ENV, names: tuple[str, ...] = ()
) -> Manifests:
    """Loads texts as files `a.yaml`, `b.yaml` and so on."""
    for index, text in enumerate(texts):
        name = names[index] if names else f"{'abcdefgh'[index]}.yaml"
        (folder / name).write_text(text, encoding="utf-8")
    return load([folder], env=env)


def problems_of(folder: Path, *texts: str, env: Mapping[str, str] = ENV) -> list[Problem]:
    """Returns what is wrong with texts, files without their folder."""
    try:
        found = load_text(folder, *texts, env=env).warnings
    except ManifestError as error:
        found = error.problems
    return list(found)


def build_text(
    folder: Path,
    *texts: str,
    previous: Generation | None = None,
    env: Mapping[str, str] = ENV,
    seat: Seat | None = None,
) -> Generation:
    """Loads and builds texts."""
    manifests = load_text(folder, *texts, env=env)
    return build(manifests, tools=tools(), admission=Admission(100), previous=previous, seat=seat)
