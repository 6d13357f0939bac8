"""The machine block that stands beside every result."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["LIBRARIES", "WrongProtobufError", "describe", "finish"]

LIBRARIES = (
    "aiohttp",
    "grpcio",
    "hdrhistogram",
    "httptools",
    "librt",
    "msgpack",
    "msgspec",
    "nats-py",
    "orjson",
    "ormsgpack",
    "protobuf",
    "protobuf-py",
    "pydantic",
    "pytest-benchmark",
    "uvloop",
    "zstandard",
)
UNKNOWN = "unknown"
_ROOT = Path(__file__).resolve().parents[2]


class WrongProtobufError(RuntimeError):
    """protobuf runs on its slow pure Python implementation; no figure of it would mean a thing."""


def describe(
    cores: Mapping[str, list[int]] | None = None, *, loop: str = "uvloop"
) -> dict[str, Any]:
    """Return the machine block. `cores` names the cores that each side was given.

    Raise WrongProtobufError unless protobuf runs on upb.
    """
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads_per_core": _threads_per_core(),
        "governor": _governor(),
        "hypervisor": _hypervisor(),
        "usable_cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "given": {side: list(given) for side, given in (cores or {}).items()},
        "memory_gb": _memory_gb(),
        "kernel": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": " ".join(platform.python_build()) + " " + platform.python_compiler(),
        "optimized": sys.flags.optimize,
        "loop": loop,
        "protobuf": _protobuf(),
        "transcoder": _transcoder(),
        "libraries": _versions(),
        "commit": _commit(),
        "load_before": list(os.getloadavg()),
    }


def finish(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the block with the load average after the run in it."""
    return {**machine, "load_after": list(os.getloadavg())}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


def _threads_per_core() -> int | str:
    """How many threads a core has, by those that the first one shares its core with."""
    told = _told_by("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    if not told:
        return UNKNOWN
    parts = [part.partition("-") for part in told.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in parts)


def _governor() -> str:
    """What decides the clock of the first core; virtual machines do not tell."""
    return _told_by("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or UNKNOWN


def _hypervisor() -> str:
    """What the machine runs in, as far as it tells; `none` where the processor denies it."""
    flags = next((line for line in _told_by("/proc/cpuinfo").splitlines() if "flags" in line), "")
    if not flags:
        return UNKNOWN
    if "hypervisor" not in flags.split():
        return "none"
    kind = _told_by("/sys/hypervisor/type")
    maker = _told_by("/sys/class/dmi/id/sys_vendor") or _told_by("/sys/class/dmi/id/product_name")
    return kind or maker or "some, which does not tell its name"


def _told_by(path: str) -> str:
    """What a file of the kernel says; nothing where there is none, or none for us."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _memory_gb() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return 0.0


def _protobuf() -> str:
    from google.protobuf.internal import api_implementation

    kind: str = api_implementation.Type()
    if kind != "upb":
        raise WrongProtobufError(f"protobuf runs on {kind!r}, not on upb")
    return kind


def _transcoder() -> str:
    from interlaced.codecs.transcode_wire import IS_COMPILED

    return "compiled" if IS_COMPILED else "as it stands"


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _commit() -> str:
    """The commit of the checkout, with `+` where files differ from it."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607  # whatever git the checkout was made with
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
