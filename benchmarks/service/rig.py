"""The processes of a measurement: an upstream, Interlace, and the baseline beside it."""

from __future__ import annotations

import contextlib
import json
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.process import Child, Cores, split_cores
from benchmarks.harness.results import BASELINE, INTERLACE
from benchmarks.load.http2 import Connection, connect
from benchmarks.service import manifests

__all__ = ["Certificates", "Rig", "Served", "rig", "start_baseline", "start_interlace"]


@dataclass(frozen=True, slots=True)
class Certificates:
    """One pair of PEM files for every server of a run, and the authority that clients trust."""

    ca: Path
    certificate: Path
    key: Path

    def for_grpc(self) -> ssl.SSLContext:
        """Return the context of a gRPC client."""
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2"])
        return context


@dataclass(frozen=True, slots=True)
class Served:
    """A server under measurement."""

    side: str
    child: Child
    address: str
    admin: str = ""
    tls: ssl.SSLContext | None = None

    async def connect(self, count: int) -> list[Connection]:
        """Return so many connections to it."""
        return [await connect(self.address, tls=self.tls) for _ in range(count)]

    async def connect_stalled(self) -> Connection:
        """Return a connection that takes 64 kB and then nothing."""
        return await connect(self.address, tls=self.tls, is_stalled=True)


@dataclass(slots=True)
class Rig:
    """What runs for one scenario. `sides` has the servers by name."""

    folder: Path
    cores: Cores
    upstream: str
    serving: Child
    """The upstream's own process."""
    certificates: Certificates | None = None
    sides: dict[str, Served] = field(default_factory=dict)

    @property
    def interlace(self) -> Served:
        """The server under test."""
        return self.sides[INTERLACE]

    @property
    def baseline(self) -> Served:
        """Its peer."""
        return self.sides[BASELINE]

    def upstream_count(self) -> int:
        """Return how many requests the upstream has answered."""
        context = None
        if self.certificates:
            context = ssl.create_default_context(cafile=self.certificates.ca)
        with urllib.request.urlopen(  # noqa: S310  # our own address
            f"{self.upstream}/count", context=context, timeout=30
        ) as answer:
            return int(answer.read())


@contextlib.contextmanager
def rig(
    cores: Cores | None = None,
    *,
    certificates: Certificates | None = None,
    upstream: str = "benchmarks.load.upstream",
) -> Iterator[Rig]:
    """Yield a rig with its upstream, a module, running; nothing is left when it ends."""
    cores = cores or split_cores()
    with tempfile.TemporaryDirectory(prefix="interlace-bench-") as name:
        folder = Path(name)
        ports = folder / "upstream.addr"
        arguments = ["-m", upstream, "--ports-file", str(ports)]
        if certificates:
            arguments += ["--tls-cert", str(certificates.certificate)]
            arguments += ["--tls-key", str(certificates.key)]
        with Child.python(*arguments, cores=cores.load, log=folder / "upstream.log") as serving:
            yield Rig(folder, cores, serving.await_file(ports), serving, certificates)


@contextlib.contextmanager
def start_interlace(
    rig: Rig,
    *,
    side: str = INTERLACE,
    policy: Mapping[str, Any] = manifests.DEFAULTS,
    options: Sequence[str] = (),
    cores: frozenset[int] | None = None,
    nats: str = "",
) -> Iterator[Served]:
    """Run `interlace serve` with the connectors of the suite, and all its defaults."""
    folder, certificates = rig.folder / side, rig.certificates
    connectors, ports = folder / "connectors", folder / "ports.json"
    ca = certificates.ca if certificates else None
    manifests.write_rest(connectors, rig.upstream, policy=policy, ca=ca)
    manifests.write_feeds(connectors)
    if nats:
        manifests.write_nats(connectors, nats)
    tls: tuple[str, ...] = ()
    if certificates:
        tls = ("--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key))
    arguments = ("--port", "0", "--admin-port", "0", "--ports-file", str(ports))
    with Child.python(
        *("-m", "interlaced", "serve", "--config", str(connectors), "--log-format", "json"),
        *(*arguments, *tls, *options),
        cores=cores or rig.cores.server,
        log=folder / "log",
    ) as child:
        found = json.loads(child.await_file(ports))
        context = certificates.for_grpc() if certificates else None
        served = Served(side, child, found["grpc"], found["admin"], context)
        rig.sides[side] = served
        yield served


@contextlib.contextmanager
def start_baseline(
    rig: Rig, *, cores: frozenset[int] | None = None, nats: str = ""
) -> Iterator[Served]:
    """Run the baseline with the same routes."""
    folder, certificates = rig.folder / BASELINE, rig.certificates
    folder.mkdir(exist_ok=True)
    ports = folder / "ports"
    arguments = ["--upstream", rig.upstream, "--routes", json.dumps(dict(manifests.ROUTES))]
    arguments += ["--posts", json.dumps(dict(manifests.POSTS))]
    if certificates:
        arguments += ["--upstream-ca", str(certificates.ca)]
        arguments += ["--tls-cert", str(certificates.certificate)]
        arguments += ["--tls-key", str(certificates.key)]
    if nats:
        arguments += ["--nats", nats]
    with Child.python(
        *("-m", "benchmarks.baseline", "--ports-file", str(ports), *arguments),
        cores=cores or rig.cores.server,
        log=folder / "log",
    ) as child:
        context = certificates.for_grpc() if certificates else None
        served = Served(BASELINE, child, child.await_file(ports), "", context)
        rig.sides[BASELINE] = served
        yield served
