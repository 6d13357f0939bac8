"""Publish and consume on NATS with JetStream, beside nats-py written by hand."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.process import ROOT, Child, Cores
from benchmarks.harness.results import Case
from benchmarks.load.consume import BrokerLoad
from benchmarks.service.calls import close_all
from benchmarks.service.measure import Contender, case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import rig, start_baseline, start_interlace

__all__ = ["find_nats", "nats"]

FEED = SINK = "orders.Orders"


def find_nats() -> str | None:
    """Return the NATS server: NATS_SERVER_BIN, what is unpacked under build/, or the system's."""
    unpacked = [str(path) for path in sorted(ROOT.glob("build/servers/**/nats-server"))]
    runnable = [path for path in unpacked if Path(path).is_file() and os.access(path, os.X_OK)]
    named = os.environ.get("NATS_SERVER_BIN")
    return named or next(iter(runnable), None) or shutil.which("nats-server")


@contextlib.contextmanager
def _server(program: str, folder: Path, cores: Cores) -> Iterator[str]:
    """Run a server with JetStream on a port that it takes itself; yield its address."""
    ports = folder / "nats"
    ports.mkdir(parents=True)
    command = [program, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", str(folder / "store")]
    with Child(
        [*command, "--ports_file_dir", str(ports)], cores=cores.load, log=folder / "nats.log"
    ) as child:
        child.await_until(lambda: any(_urls(ports)))
        yield next(_urls(ports))


def _urls(folder: Path) -> Iterator[str]:
    for path in folder.glob("*.ports"):
        with contextlib.suppress(ValueError):
            yield from json.loads(path.read_text(encoding="ascii")).get("nats", [])


async def nats(plan: Plan) -> list[Case]:
    """An event is a call: published with a confirmation, delivered, and settled."""
    variant: dict[str, str | int | float] = {"batch": 16, "window": 256}
    program = find_nats()
    if program is None:
        note = "no nats-server: run tools/fetch_test_servers.py"
        return [Case("service", "nats", variant, "cpu_us_per_call", notes=(note,))]
    with (
        rig(plan.cores) as place,
        _server(program, place.folder, plan.cores) as url,
        start_interlace(place, nats=url),
        start_baseline(place, nats=url),
    ):
        contenders, loads, every = [], [], []
        for served in (place.interlace, place.baseline):
            consuming, publishing = connections = await served.connect(2)
            every += connections
            load = BrokerLoad(consuming, publishing, name=FEED, group=served.side)
            loads.append(load)
            contenders.append(Contender(served.side, load, served.child))
        measured = await versus(contenders, plan.pace)
        for load in loads:
            load.close()
        close_all(every)
    notes = (
        "Interlace confirms every settlement with the broker, the baseline sends it and goes on",
    )
    return [case_of("nats", variant, measured, notes=notes)]
