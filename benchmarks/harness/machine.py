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
        "usable_cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "given": {side: list(given) for side, given in (cores or {}).items()},
        "memory_gb": _memory_gb(),
        "kernel": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": " ".join(platform.python_build()) + " " + platform.python_compiler(),
        "optimized": sys.flags.optimize,
        "loop": loop,
        "protobuf": _protobuf(),
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
