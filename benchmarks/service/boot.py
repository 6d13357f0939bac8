"""Boot: CPU until 50 connectors are served, beside a process that imports the same packages."""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness.process import Child, Cores
from benchmarks.harness.results import INTERLACE, Case, Sample
from benchmarks.service import manifests
from benchmarks.service.measure import case_of
from benchmarks.service.plan import Plan
from benchmarks.service.rig import rig

__all__ = ["boot", "imported", "third_party"]

CONNECTORS = 50
IMPORTS = "imports_only"
_MOST_ROUNDS = 7
"""A boot takes longer than any window, and varies less."""
_LINE = re.compile(r"^import time:.*\|\s*([\w.]+)\s*$")
_OURS = ("interlace", "interlaced", "benchmarks")


async def boot(plan: Plan) -> list[Case]:
    """Boot in turn with the bare imports, in fresh processes; what is on disk is warm for both."""
    with rig(plan.cores) as place:
        connectors = place.folder / "fifty"
        manifests.write_many(connectors, place.upstream, CONNECTORS)
        modules = _modules_of_service(place.folder, connectors, plan.cores)
        script = place.folder / "imports.py"
        _write_script(script, modules)
        samples = []
        for number in range(min(plan.pace.rounds, _MOST_ROUNDS)):
            sides = [INTERLACE, IMPORTS] if number % 2 == 0 else [IMPORTS, INTERLACE]
            for side in sides:
                command = _serve(connectors) if side == INTERLACE else (str(script),)
                samples.append(_boot(place.folder, side, command, plan.cores))
    notes = (
        f"{len(modules)} modules of third parties, as the serving process imported them",
        "CPU from the start of the process to the moment it says that it is ready",
        "both sides find the bytecode of all that they import in a cache",
    )
    variant: dict[str, str | int | float] = {"connectors": CONNECTORS}
    return [case_of("boot", variant, (tuple(samples), ()), main="cpu_ms", notes=notes)]


def _serve(connectors: Path) -> tuple[str, ...]:
    return ("-m", "interlaced", "serve", "--config", str(connectors), "--log-format", "json",
            "--port", "0", "--admin-port", "0")  # fmt: skip


def _boot(folder: Path, side: str, command: Sequence[str], cores: Cores) -> Sample:
    ports = folder / "boot.ports"
    ports.unlink(missing_ok=True)
    since = time.perf_counter()
    with Child.python(
        *command,
        *("--ports-file", str(ports)),
        cores=cores.server,
        log=folder / "boot.log",
        environment=_compiled(folder),
    ) as child:
        child.await_until(ports.exists, every=0.001)
        cpu, seconds, rss = child.cpu_ns(), time.perf_counter() - since, child.rss_bytes()
    values = {
        "cpu_ms": cpu / 1e6,
        "wall_ms": seconds * 1e3,
        "rss_mb": rss / 1e6,
        "errors": 0.0,
        "calls": 1.0,
    }
    return Sample(side, values)


def _compiled(folder: Path) -> dict[str, str]:
    """Gives both sides their bytecode from one cache that the probe fills, as if installed.

    An installer compiles everything. A checkout under PYTHONDONTWRITEBYTECODE would compile our
    sources at each start, and find those of third parties compiled.
    """
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _modules_of_service(folder: Path, connectors: Path, cores: Cores) -> list[str]:
    """What a serving process imports, told by the interpreter itself."""
    ports, log = folder / "probe.ports", folder / "probe.log"
    with Child.python(
        *("-X", "importtime", *_serve(connectors), "--ports-file", str(ports)),
        cores=cores.server,
        log=log,
        environment=_compiled(folder),
    ) as child:
        child.await_file(ports)
    return third_party(imported(log.read_text(encoding="utf-8", errors="replace")))


def imported(log: str) -> list[str]:
    """Return the modules that `-X importtime` told, in the order in which they were done."""
    found = (_LINE.match(line) for line in log.splitlines())
    return [match[1] for match in found if match and match[1] != "package"]


def third_party(modules: Sequence[str]) -> list[str]:
    """Return those that are installed from elsewhere: neither ours nor of the standard library."""
    return [name for name in modules if _is_third_party(name)]


def _is_third_party(name: str) -> bool:
    top = name.partition(".")[0]
    if top in _OURS or top in sys.stdlib_module_names or top.startswith("_"):
        return False
    spec = find_spec(top)
    places = [spec.origin] if spec and spec.origin else []
    places += list(spec.submodule_search_locations or []) if spec else []
    purelib, platlib = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
    return any(place and place.startswith((purelib, platlib)) for place in places)


def _write_script(path: Path, modules: Sequence[str]) -> None:
    """The bare peer: it imports, says that it is ready as the service does, and waits."""
    lines = [
        "import importlib, pathlib, sys, time",
        f"for name in {json.dumps(list(modules))}:",
        "    try:",
        "        importlib.import_module(name)",
        "    except ImportError as error:",
        "        print(name, error)",
        "pathlib.Path(sys.argv[-1]).write_text('ready')",
        "time.sleep(600)",
    ]
    path.write_text(os.linesep.join(lines), encoding="utf-8")
